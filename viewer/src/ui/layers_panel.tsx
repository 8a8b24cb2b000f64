// The list of layers: what may be laid over the series, and of what is: segments with colour, ml and mean, a scale.

import type { LayerInfo, Segment } from "../wire/layers";
import { isDifference, minus } from "../wire/layers";
import { Icon } from "./icons";
import { FILL_MODES, KIND_WORDS, type PaneLayer } from "./layers";
import { unitLabel } from "./measuring";
import type { PaneState } from "./pane_state";
import { panes } from "./session";
import { language, words } from "./settings";
import { seriesTitle } from "./stage";
import { reasonOf } from "./trouble";
import { fill } from "./words";

export interface Offer {
  readonly id: string;
  readonly kind: PaneLayer["kind"];
  readonly name: string;
}

/** The series that are open beside this one and have as many voxels: the difference to each. */
function differencesOf(pane: PaneState): Offer[] {
  const sides = (each: PaneState): string => [...(each.model.info.value?.shape ?? [])].sort((a, b) => a - b).join();
  const others = panes.value.filter((each) => each.model !== pane.model && each.model.grid && pane.model.grid && sides(each) === sides(pane));
  return others.map((each) => ({ id: minus(each.model.study, each.model.series), kind: "difference" as const, name: seriesTitle(each) }));
}

/** Everything that may be laid over a pane's series, what is laid over it first. */
export function offersOf(pane: PaneState): Offer[] {
  const found: Offer[] = [...(pane.layers.found.value ?? []), ...differencesOf(pane)];
  const shown = pane.layers.shown.value.filter((layer) => !found.some((each) => each.id === layer.id));
  return [...shown, ...found];
}

export function LayersPanel({ pane }: { pane: PaneState }) {
  const w = words.value;
  void pane.layers.ask();
  const offers = offersOf(pane);
  const { error, found } = pane.layers;
  return (
    <>
      {!offers.length && <p class="quiet">{error.value ? reasonOf(error.value) : found.value || !pane.model.grid ? w.noLayers : w.loading}</p>}
      {offers.map((offer) => (
        <LayerSection key={offer.id} offer={offer} pane={pane} />
      ))}
    </>
  );
}

function LayerSection({ offer, pane }: { offer: Offer; pane: PaneState }) {
  const w = words.value;
  const layer = pane.layers.get(offer.id);
  const name = offer.name || w[KIND_WORDS[offer.kind]];
  return (
    <section class="layer" data-layer={offer.id}>
      <div class="layer-head">
        <Eye name={name} on={!!layer?.visible.value} toggle={() => (layer ? (layer.visible.value = !layer.visible.value) : pane.layers.add(offer.id, offer.kind, offer.name))} />
        <h3>{name}</h3>
        <small>{offer.name && w[KIND_WORDS[offer.kind]]}</small>
        {layer && (
          <button class="small" aria-label={`${w.removeLayer}: ${name}`} title={w.removeLayer} onClick={() => pane.layers.remove(layer)}>
            <Icon name="close" />
          </button>
        )}
      </div>
      {layer && <LayerBody layer={layer} pane={pane} />}
    </section>
  );
}

function Eye({ name, on, toggle }: { name: string; on: boolean; toggle: () => void }) {
  const said = `${words.value.showLayer}: ${name}`;
  return (
    <button class="small eye" role="switch" aria-checked={on} aria-label={said} title={said} onClick={toggle}>
      <Icon name={on ? "eye" : "eyeOff"} />
    </button>
  );
}

function LayerBody({ layer, pane }: { layer: PaneLayer; pane: PaneState }) {
  const w = words.value;
  const { info, error, loading, version } = layer.model;
  void version.value;
  if (error.value) {
    return (
      <div role="alert">
        <p>{reasonOf(error.value)}</p>
        <button onClick={() => void layer.model.open()}>{w.retry}</button>
      </div>
    );
  }
  if (!info.value) return <p class="quiet">{w.loading}</p>;
  return (
    <>
      <Drawn layer={layer} />
      {layer.hasLabels ? <Segments layer={layer} info={info.value} pane={pane} /> : <Scale layer={layer} info={info.value} />}
      {info.value.check && <Verdict info={info.value} />}
      {info.value.warnings.length > 0 && (
        <ul class="reasons">
          {info.value.warnings.map((each) => (
            <li key={each.en}>{each[language.value]}</li>
          ))}
        </ul>
      )}
      {loading.value && <p class="quiet">{w.loading}</p>}
    </>
  );
}

function Drawn({ layer }: { layer: PaneLayer }) {
  const w = words.value;
  const names = { both: w.fillBoth, fill: w.fillOnly, outline: w.outlineOnly } as const;
  return (
    <div class="fields">
      <label class="opacity">
        <span>{w.opacity}</span>
        <input type="range" min={0} max={100} step={5} value={Math.round(layer.opacity.value! * 100)} aria-valuetext={`${Math.round(layer.opacity.value! * 100)} %`} onInput={(event) => (layer.opacity.value = event.currentTarget.valueAsNumber / 100)} />
      </label>
      {layer.hasLabels && (
        <select aria-label={w.drawnAs} value={layer.mode.value} onChange={(event) => (layer.mode.value = FILL_MODES.find((each) => each === event.currentTarget.value) ?? "both")}>
          {FILL_MODES.map((each) => (
            <option key={each} value={each}>
              {names[each]}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

const hex = (colour: readonly number[]): string => `#${colour.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
const rgb = (text: string): [number, number, number] => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16)) as [number, number, number];
const shown = (value: number, digits: number): string => value.toFixed(digits).replace("-", "−");

function Segments({ layer, info, pane }: { layer: PaneLayer; info: LayerInfo; pane: PaneState }) {
  const w = words.value;
  const styles = layer.styles.value;
  const all = info.segments.every((each) => styles.get(each.index)?.visible);
  const unit = unitLabel(pane.model.info.value?.unit ?? "");
  const setAll = (): void => info.segments.forEach((each) => layer.restyle(each.index, { visible: !all }));
  return (
    <table class="segments">
      <thead>
        <tr>
          <th>
            <input type="checkbox" checked={all} aria-label={w.allSegments} onChange={setAll} />
          </th>
          <td />
          <th>{w.segment}</th>
          <th class="figure">ml</th>
          <th class="figure">{`${w.mean} ${unit}`.trim()}</th>
        </tr>
      </thead>
      <tbody>
        {info.segments.map((each) => (
          <SegmentRow key={each.index} segment={each} layer={layer} pane={pane} />
        ))}
      </tbody>
    </table>
  );
}

function SegmentRow({ segment, layer, pane }: { segment: Segment; layer: PaneLayer; pane: PaneState }) {
  const w = words.value;
  const style = layer.styles.value.get(segment.index)!;
  const leftOut = segment.leftOut ? `, ${fill(w.withoutValue, { n: segment.leftOut })}` : "";
  const title = [segment.type, `${segment.voxels} ${w.count}${leftOut}`, segment.sd === null ? "" : `SD ${shown(segment.sd, 1)}`].filter(Boolean).join("\n");
  return (
    <tr data-segment={segment.number} title={title}>
      <td>
        <input type="checkbox" checked={style.visible} aria-label={`${w.showLayer}: ${segment.label}`} onChange={(event) => layer.restyle(segment.index, { visible: event.currentTarget.checked })} />
      </td>
      <td>
        <input type="color" value={hex(style.colour)} aria-label={`${w.colour}: ${segment.label}`} onInput={(event) => layer.restyle(segment.index, { colour: rgb(event.currentTarget.value) })} />
      </td>
      <td>
        <button class="link" title={w.goToSegment} onClick={() => goTo(pane, layer, segment)}>
          {segment.label}
        </button>
      </td>
      <td class="figure">{shown(segment.ml, segment.ml < 10 ? 2 : 1)}</td>
      <td class="figure">{segment.mean === null ? "–" : shown(segment.mean, 1)}</td>
    </tr>
  );
}

/** The slice in which a segment is largest, and its middle there. */
function goTo(pane: PaneState, layer: PaneLayer, segment: Segment): void {
  const columns = pane.model.info.value!.shape![2];
  let best = { count: 0, slice: 0, row: 0, column: 0 };
  for (let slice = 0; slice < pane.model.count; slice++) {
    const values = layer.model.slice(segment.array, slice);
    if (!values) continue;
    let [count, row, column] = [0, 0, 0];
    for (let k = 0; k < values.length; k++) {
      if (values[k] !== segment.index) continue;
      count += 1;
      row += Math.floor(k / columns);
      column += k % columns;
    }
    if (count > best.count) best = { count, slice, row: row / count, column: column / count };
  }
  if (best.count) pane.lookAtVoxel([best.slice, best.row, best.column]);
}

function Scale({ layer, info }: { layer: PaneLayer; info: LayerInfo }) {
  const w = words.value;
  const [low, high] = layer.range.value;
  const symmetric = isDifference(layer.id);
  const set = (next: readonly [number, number]): void => {
    if (next.every(Number.isFinite) && next[1] > next[0]) layer.chosenRange.value = next;
  };
  const box = (name: string, value: number, change: (typed: number) => void) => (
    <label class="number">
      <span>{name}</span>
      <input type="number" step="any" value={value} onChange={(event) => change(event.currentTarget.valueAsNumber)} />
    </label>
  );
  return (
    <>
      <div class="fields">
        {symmetric ? (
          box(`± ${unitLabel(info.unit)}`, high, (typed) => set([-typed, typed]))
        ) : (
          <>
            {box(`${w.from} ${unitLabel(info.unit)}`, low, (typed) => set([typed, high]))}
            {box(w.to, high, (typed) => set([low, typed]))}
          </>
        )}
      </div>
      <p class="quiet">{fill(symmetric ? w.differsBetween : w.valuesBetween, { low: shown(info.range[0], 2), high: shown(info.range[1], 2), unit: unitLabel(info.unit) })}</p>
    </>
  );
}

function Verdict({ info }: { info: LayerInfo }) {
  const w = words.value;
  const check = info.check!;
  const names = { values: w.checkValues, place: w.checkPlace, axes: w.checkAxes } as const;
  return (
    <>
      <p class={`verdict ${check.right ? "good" : "bad"}`}>
        <span class="dot" /> {check.right ? w.checkRight : w.checkWrong}
      </p>
      <dl class="check">
        {check.sentences.map((each) => (
          <>
            <dt>{names[each.about]}</dt>
            <dd>{each[language.value]}</dd>
          </>
        ))}
      </dl>
    </>
  );
}
