// Whether the numbers can be trusted, what the series is, its histogram, a threshold and its volume.

import { useEffect, useState } from "preact/hooks";
import { ValueCounts } from "../volume/histogram";
import { cross, dot, length } from "../volume/vector";
import type { Threshold } from "../render/window";
import { isHounsfield, type Part } from "../wire/info";
import { HistogramPlot } from "./histogram";
import { unitLabel } from "./measuring";
import type { PaneState } from "./pane_state";
import { show } from "./session";
import { PhysicsSection } from "./physics";
import { say } from "./reasons";
import { language, words } from "./settings";
import { sliceFacts } from "./slice_facts";
import { noPlanesReason } from "./stage";
import { grouped, verdictName } from "./judgement";
import { judgementOf, TRUST_WORDS } from "./trust";
import { fill } from "./words";

const BINS = 144;

export function NumbersPanel({ pane }: { pane: PaneState }) {
  const info = pane.model.info.value;
  if (!info) return null;
  return (
    <>
      <Trusted pane={pane} />
      {pane.model.physics.value && <PhysicsSection physics={pane.model.physics.value} />}
      {info.shape && <Distribution pane={pane} />}
      {pane.layout.value !== "stack" && <PlaneControls pane={pane} />}
      <Facts pane={pane} />
      {(info.parts.length > 1 || info.parts.some((part) => part.phases.length > 1)) && <Parts pane={pane} />}
    </>
  );
}

function Trusted({ pane }: { pane: PaneState }) {
  const w = words.value;
  const found = judgementOf(pane)!;
  const done = pane.model.totals;
  return (
    <section>
      <h3>{w.trust}</h3>
      <p class={`verdict ${found.trust}`}>
        <span class="dot" /> {w[TRUST_WORDS[found.trust]]}
      </p>
      {found.reasons.length ? (
        <ul class="reasons">
          {found.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      ) : (
        <p class="quiet">{w.nothingToNote}</p>
      )}
      {done.padded > 0 && <p class="quiet">{fill(w.padded, { n: grouped(done.padded) })}</p>}
      {done.clamped > 0 && <p class="quiet">{fill(w.clamped, { n: grouped(done.clamped) })}</p>}
    </section>
  );
}

/** Counting 74 million voxels takes a moment: done between frames, some slices at a time. */
function useCounts(pane: PaneState): ValueCounts {
  const { model } = pane;
  void model.version.value;
  const [, again] = useState(0);
  useEffect(() => {
    const before = model.counts.slices;
    const timer = setTimeout(() => {
      model.countValues(12);
      if (model.counts.slices !== before) again((n) => n + 1);
    }, 30);
    return () => clearTimeout(timer);
  });
  return model.counts;
}

function Distribution({ pane }: { pane: PaneState }) {
  const w = words.value;
  const counts = useCounts(pane);
  const unit = unitLabel(pane.model.info.value!.unit);
  return (
    <section>
      <h3>
        {w.histogram} <small>{unit}</small>
      </h3>
      {counts.slices > 0 && <HistogramPlot pane={pane} histogram={counts.histogram(BINS)} />}
      <ThresholdControls pane={pane} counts={counts} counted={counts.slices} unit={unit} />
    </section>
  );
}

const BONE = { low: 200, high: 3071 };

/** Bone where values are HU; else what is brighter than the middle of the window. */
function firstThreshold(pane: PaneState, counts: ValueCounts): Threshold {
  if (isHounsfield(pane.model.info.peek()!.unit)) return BONE;
  const { low, binWidth, counts: bins } = counts.histogram(BINS);
  return { low: Math.round(pane.window.peek().center), high: low + binWidth * bins.length - 1 };
}

function voxelMl(pane: PaneState): number | null {
  const affine = pane.model.affine;
  if (!affine || !pane.model.hasPlanes) return null;
  return Math.abs(dot(affine.slice, cross(affine.row, affine.column))) / 1000;
}

interface ThresholdProps {
  readonly pane: PaneState;
  readonly counts: ValueCounts;
  /** How many slices are counted: the counts themselves stay the same object, which would not be drawn anew. */
  readonly counted: number;
  readonly unit: string;
}

function ThresholdControls({ pane, counts, counted, unit }: ThresholdProps) {
  const w = words.value;
  const threshold = pane.threshold.value;
  const set = (low: number, high: number): void => {
    if (Number.isFinite(low) && Number.isFinite(high)) pane.threshold.value = { low, high };
  };
  const voxels = threshold ? counts.between(threshold.low, threshold.high) : 0;
  const ml = voxelMl(pane);
  const wrong = !!threshold && threshold.low > threshold.high;
  return (
    <div class="threshold">
      <label class="check">
        <input type="checkbox" checked={!!threshold} onChange={(event) => (pane.threshold.value = event.currentTarget.checked ? firstThreshold(pane, counts) : null)} />
        {w.threshold}
      </label>
      {threshold && (
        <>
          <label class="number">
            <span>{w.from}</span>
            <input type="number" aria-invalid={wrong} value={threshold.low} onInput={(event) => set(event.currentTarget.valueAsNumber, threshold.high)} />
          </label>
          <label class="number">
            <span>{w.to}</span>
            <input type="number" aria-invalid={wrong} value={threshold.high} onInput={(event) => set(threshold.low, event.currentTarget.valueAsNumber)} />
          </label>
          <span class="quiet">{unit}</span>
          <p class="result" data-voxels={voxels}>
            {ml === null ? `${grouped(voxels)} ${w.count}` : `${w.volume} ${(voxels * ml).toFixed(2)} ml`}{" "}
            <small>{fill(w.ofSlices, { held: counted, count: pane.model.count })}</small>
          </p>
        </>
      )}
    </div>
  );
}

export function PlaneControls({ pane }: { pane: PaneState }) {
  const w = words.value;
  const slab = pane.slab.value;
  const mode = slab.thickness ? slab.mode : "thin";
  const choose = (value: string): void => {
    const chosen = (["mip", "minip", "mean"] as const).find((each) => each === value);
    pane.slab.value = chosen ? { mode: chosen, thickness: slab.thickness || 10 } : { ...slab, thickness: 0 };
  };
  return (
    <section>
      <h3>{w.planes}</h3>
      <div class="fields">
        <label>
          <span>{w.slab}</span>
          <select value={mode} onChange={(event) => choose(event.currentTarget.value)}>
            {(["thin", "mip", "minip", "mean"] as const).map((each) => (
              <option key={each} value={each}>
                {w[each]}
              </option>
            ))}
          </select>
        </label>
        {slab.thickness > 0 && (
          <label class="number">
            <span>{w.thickness} mm</span>
            <input type="number" min={0.5} max={500} step={0.5} value={slab.thickness} onChange={(event) => event.currentTarget.valueAsNumber > 0 && (pane.slab.value = { ...slab, thickness: event.currentTarget.valueAsNumber })} />
          </label>
        )}
        <label>
          <span>{w.frame}</span>
          <select value={pane.frame.value} onChange={(event) => (pane.frame.value = event.currentTarget.value === "patient" ? "patient" : "slices")}>
            <option value="slices">{w.frameSlices}</option>
            <option value="patient">{w.framePatient}</option>
          </select>
        </label>
        {pane.turn.value.some((part) => part !== 0) && (
          <button title={`${w.straighten} (\\)`} onClick={() => (pane.turn.value = [0, 0, 0])}>
            {`${fill(w.sayTurned, { degrees: length(pane.turn.value).toFixed(1) })} · ${w.reset}`}
          </button>
        )}
      </div>
    </section>
  );
}

function Facts({ pane }: { pane: PaneState }) {
  const w = words.value;
  const info = pane.model.info.value!;
  const facts = sliceFacts(pane.model, pane.slice.value);
  const slice = info.slices[pane.slice.value];
  const number = (value: number): string => String(+value.toFixed(3)).replace("-", "−");
  const rows: [string, string][] = [];
  if (info.shape) rows.push([w.size, `${info.shape[2]} × ${info.shape[1]} × ${info.shape[0]}`]);
  // One slice has no distance to another, nor have slices at one place; irregular ones have several, told above.
  const between = pane.model.count > 1 && info.spacing?.[0] && info.verdict !== "irregular" ? [info.spacing[0]] : [];
  if (info.pixelSpacing) rows.push([w.spacing, `${[info.pixelSpacing[1]!, info.pixelSpacing[0]!, ...between].map(number).join(" × ")} mm`]);
  if (info.shape) rows.push([w.unit, info.unit === "unspecified" ? w.unspecified : info.unit]);
  if (info.verdict) rows.push([w.verdict, verdictName(info.verdict, w)]);
  if (slice?.position) rows.push([w.slicePosition, `${slice.position.map(number).join(", ")} mm`]);
  if (slice?.bits) rows.push([w.bits, `${slice.bits} ${w.bit}`]);
  if (facts.slope !== null && facts.intercept !== null) rows.push([w.conversion, `${w.stored} × ${facts.slope} ${facts.intercept < 0 ? "−" : "+"} ${Math.abs(facts.intercept)}`]);
  const noPlanes = noPlanesReason(pane);
  if (noPlanes) rows.push([w.noPlanes, noPlanes]);
  return (
    <section>
      <h3>{w.facts}</h3>
      <dl>
        {rows.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}

/** What else the series holds: parts of another unit or stack, phases at the same positions. */
function Parts({ pane }: { pane: PaneState }) {
  const w = words.value;
  const info = pane.model.info.value!;
  const name = (part: Part): string[] => {
    const whose = [...part.label.matchAll(/ (patient|study|series|stack) (\S+)/g)].map(([, of, number]) => `${{ patient: w.patient, study: w.studyOf, series: w.series, stack: w.stack }[of!]} ${number}`);
    return [`${w.partOf} ${part.part + 1}`, part.unit === "unspecified" ? w.unspecified : part.unit, ...whose];
  };
  const called = (names: readonly string[]): string => names.map((each) => say(each, info.told, language.value)).join(w.comma);
  const options = info.parts.flatMap((part) => (part.phases.length ? part.phases : [[]]).map((names, phase) => ({ part: part.part, phase, text: [...name(part), called(names)].filter(Boolean).join(" · ") })));
  return (
    <section>
      <h3>
        {w.partOf} / {w.phaseOf}
      </h3>
      <select
        value={`${info.part}/${info.phase}`}
        onChange={(event) => {
          const [part, phase] = event.currentTarget.value.split("/").map(Number) as [number, number];
          show(info.study, info.series, { choice: { part, phase } });
        }}
      >
        {options.map((each) => (
          <option key={`${each.part}/${each.phase}`} value={`${each.part}/${each.phase}`}>
            {each.text}
          </option>
        ))}
      </select>
    </section>
  );
}
