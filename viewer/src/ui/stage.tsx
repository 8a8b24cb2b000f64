// The images: one pane or several side by side, each a stack with its slider or three planes.

import { useEffect, useState } from "preact/hooks";
import { shownNumber } from "../render/window";
import { wheelNotches } from "../tools/wheel";
import { PLANES, type PlaneName } from "../volume/planes";
import { minus } from "./chain";
import { Icon } from "./icons";
import { Documents } from "./document_view";
import { Legends } from "./legend";
import { isKind } from "../tools/registry";
import { goTogether } from "./linking";
import { measureWaiting } from "./measuring";
import { LAYOUTS, type Layout, type PaneState, type ViewName } from "./pane_state";
import { active, activeId, alone, closePane, linked, panes, toggleAlone, tool } from "./session";
import { say } from "./reasons";
import { cineRate, CINE_RATES, language, words } from "./settings";
import { SliceNumber } from "./slice_number";
import { shortly, Trouble } from "./trouble";
import { someSlices, verdictName } from "./judgement";
import { View } from "./view";
import { otherSeries } from "../wire/layers";
import { fill } from "./words";

export function Stage() {
  const shown = alone.value ? [alone.value] : panes.value;
  return (
    <main class={`stage panes-${shown.length}`}>
      {shown.map((pane) => (
        <Pane key={pane.id} pane={pane} />
      ))}
    </main>
  );
}

function Pane({ pane }: { pane: PaneState }) {
  const several = panes.value.length > 1;
  const isActive = several && !alone.value && active.value === pane;
  const version = pane.model.version.value;
  useEffect(() => measureWaiting(pane), [pane, version]);
  return (
    <section class={`pane${several ? " beside" : ""}${isActive ? " active" : ""}`} aria-label={seriesTitle(pane)} onFocusIn={() => (activeId.value = pane.id)}>
      <Views pane={pane} />
      <Caption pane={pane} several={several} />
      {several && <PaneButtons pane={pane} />}
      <Legends pane={pane} />
      <Overlays pane={pane} />
    </section>
  );
}

/** Of one pane among several. */
function PaneButtons({ pane }: { pane: PaneState }) {
  const w = words.value;
  return (
    <div class="pane-buttons">
      <button class="small" title={`${w.alone} (O)`} aria-label={w.alone} aria-pressed={alone.value === pane} onClick={() => toggleAlone(pane)}>
        <Icon name="alone" />
      </button>
      <button class="small" title={w.stopCompare} aria-label={w.stopCompare} onClick={() => closePane(pane)}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function Views({ pane }: { pane: PaneState }) {
  if (pane.model.documents.value) return <Documents pane={pane} />;
  const layout = pane.model.hasPlanes ? pane.layout.value : "stack";
  if (layout === "stack") return <Stack pane={pane} />;
  if (layout === "planes") return <Planes pane={pane} />;
  return <OnePlane pane={pane} name={layout} />;
}

export function seriesTitle(pane: PaneState): string {
  const header = pane.model.info.value?.header ?? {};
  return [header["SeriesNumber"], header["SeriesDescription"]].filter(Boolean).join(" · ") || words.value.series;
}

/** Of the differences that cover the series. */
function differenceNames(pane: PaneState): string[] {
  const shown = pane.layers.shown.value.filter((layer) => layer.kind === "difference" && layer.visible.value);
  const other = (id: string): PaneState | undefined => panes.value.find((each) => each.model.series === otherSeries(id));
  return shown.map((layer) => {
    const name = layer.name || (other(layer.id) ? seriesTitle(other(layer.id)!) : "");
    return `${words.value.layerDifference}${name ? `: ${name} − ${seriesTitle(pane)}` : ""}`;
  });
}

function Caption({ pane, several }: { pane: PaneState; several: boolean }) {
  const w = words.value;
  const lead = active.value;
  const apart = several && linked.value && lead && lead !== pane && pane.model.info.value && !goTogether(lead, pane, panes.value);
  return (
    <div class="caption">
      <span class="caption-title">{differenceNames(pane).join(" · ") || seriesTitle(pane)}</span>
      {pane.model.hasPlanes && (several || (pane.layout.value !== "stack" && pane.layout.value !== "planes")) && <LayoutChoice pane={pane} />}
      {apart && <small>{w.linkRefused}</small>}
    </div>
  );
}

/** Which planes a pane shows; beside others, or where one plane is alone, it is chosen on the pane itself. */
function LayoutChoice({ pane }: { pane: PaneState }) {
  const w = words.value;
  return (
    <select class="layout" aria-label={w.view} value={pane.layout.value} onChange={(event) => (pane.layout.value = LAYOUTS.find((each) => each === event.currentTarget.value) ?? "stack")}>
      {LAYOUTS.map((each) => (
        <option key={each} value={each}>
          {w[each]}
        </option>
      ))}
    </select>
  );
}

function Slider({ pane, view }: { pane: PaneState; view: ViewName }) {
  const [notches] = useState(wheelNotches);
  const { count, at } = pane.steps(view);
  if (count < 2) return null;
  const name = view === "stack" ? words.value.slice : words.value[view];
  return <input class="slider" type="range" min={1} max={count} value={at + 1} aria-label={name} aria-valuetext={`${at + 1} / ${count}`} onInput={(event) => pane.goView(view, event.currentTarget.valueAsNumber - 1)} onWheel={(event) => pane.scrollView(view, notches(event.deltaMode ? event.deltaY * 20 : event.deltaY))} />;
}

function Stack({ pane }: { pane: PaneState }) {
  const w = words.value;
  const count = pane.model.count;
  return (
    <div class="stack" onDblClick={() => void (!isKind(tool.peek()) && toggleAlone(pane))}>
      <View key={`${pane.id}/stack`} pane={pane} view="stack" />
      <Slider pane={pane} view="stack" />
      {count > 1 && <Loaded pane={pane} />}
      <Waiting pane={pane} />
      <div class="corner bottom-left">
        <SliceNumber pane={pane} view="stack" name={pane.model.pictures.value ? w.picture : w.slice} />
        <WindowText pane={pane} />
        <CineRate pane={pane} />
      </div>
    </div>
  );
}

function OnePlane({ pane, name }: { pane: PaneState; name: PlaneName }) {
  return (
    <div class="stack" onDblClick={() => enlarge(pane, "planes")}>
      <View key={`${pane.id}/${name}`} pane={pane} view={name} />
      <Slider pane={pane} view={name} />
      <Loaded pane={pane} />
      <div class="corner bottom-left">
        <span class={`plane-name ${name}`}>{words.value[name]}</span> <SliceNumber pane={pane} view={name} name="" />
        <WindowText pane={pane} />
        <CineRate pane={pane} />
      </div>
    </div>
  );
}

/** A double click shows one plane alone, or all three again; while something is drawn it is part of the drawing. */
function enlarge(pane: PaneState, layout: Layout): void {
  if (!isKind(tool.peek())) pane.layout.value = layout;
}

function WindowText({ pane }: { pane: PaneState }) {
  const window = pane.window.value;
  if (!pane.model.info.value?.shape) return null;
  return (
    <span class="window-text">
      {" "}
      L {minus(shownNumber(window.center, window))} W {shownNumber(window.width, window)}
    </span>
  );
}

/** How fast it plays, while it does. */
function CineRate({ pane }: { pane: PaneState }) {
  if (!pane.playing.value) return null;
  const rate = pane.rate.value;
  const rates = [...new Set([...CINE_RATES, pane.model.ownRate.value ?? rate, rate])].sort((a, b) => a - b);
  return (
    <select class="layout" aria-label={words.value.cineRate} title={words.value.cineRate} value={rate} onChange={(event) => (pane.chosenRate.value = cineRate.value = Number(event.currentTarget.value))}>
      {rates.map((each) => (
        <option key={each} value={each}>
          {+each.toFixed(1)} /s
        </option>
      ))}
    </select>
  );
}

/** Instead of a slice that is not there: why. Shown late, so that nothing flickers where slices come quickly. */
function Waiting({ pane }: { pane: PaneState }) {
  const w = words.value;
  void pane.model.version.value;
  const { slices } = pane.model;
  if (!slices || pane.slice.value < 0 || slices.get(pane.slice.value)) return null;
  return <div class="waiting late">{slices.progress.failed.has(pane.slice.value) ? w.unreadHere : w.loading}</div>;
}

/** A thin bar while slices are on their way. */
function Loaded({ pane }: { pane: PaneState }) {
  void pane.model.version.value;
  const progress = pane.model.slices?.progress;
  if (!progress || progress.held + progress.failed.size >= Math.min(progress.count, pane.model.slices!.capacity)) return null;
  return (
    <>
      <progress class="loaded" max={progress.count} value={progress.held} aria-label={words.value.loading} />
      <span class="loaded-count late">{fill(words.value.slicesHeld, { held: progress.held, count: progress.count })}</span>
    </>
  );
}

function Planes({ pane }: { pane: PaneState }) {
  return (
    <div class="planes">
      {PLANES.map((name) => (
        <div key={name} class={`plane ${name}`} onDblClick={() => enlarge(pane, name)}>
          <View key={`${pane.id}/${name}`} pane={pane} view={name} />
          <div class={`corner top-left plane-name ${name}`}>{words.value[name]}</div>
          {name === "axial" && (
            <div class="corner bottom-left">
              <SliceNumber pane={pane} view="stack" name={words.value.slice} />
              <WindowText pane={pane} />
              <CineRate pane={pane} />
            </div>
          )}
        </div>
      ))}
      <Loaded pane={pane} />
    </div>
  );
}

/** What stands in the way of an image, and what could not be read. */
function Overlays({ pane }: { pane: PaneState }) {
  const w = words.value;
  void pane.model.version.value;
  const [dismissed, setDismissed] = useState(false);
  const { error, info } = pane.model;
  if (error.value) return <Trouble error={error.value} retry={() => void pane.model.open()} />;
  if (!info.value) return <div class="waiting">{w.loading}</div>;
  const failed = pane.model.slices?.progress.failed;
  if (!failed?.size || dismissed) return null;
  const first = [...failed.values()][0]!;
  return (
    <div class="notice" role="alert">
      <span>
        {fill(w.unread, { slices: someSlices(failed.keys()) })}: {shortly(first)}
      </span>
      <button onClick={() => pane.model.retry()}>{w.retry}</button>
      <button class="small" aria-label={w.close} onClick={() => setDismissed(true)}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Why a series has no planes, or "". */
export function noPlanesReason(pane: PaneState): string {
  const info = pane.model.info.value;
  if (!info || pane.model.hasPlanes) return "";
  const w = words.value;
  if (!info.shape) return w.pictureOnly;
  if (pane.model.count < 2) return w.noPlanesOne;
  return `${fill(w.noPlanesVerdict, { verdict: verdictName(info.verdict, w) })} ${info.notes.map((reason) => say(reason, info.told, language.value)).join("; ")}`.trim();
}
