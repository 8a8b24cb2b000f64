// What is open: panes side by side, the chosen tool, the panel, the measurements. One per page.

import { batch, computed, effect, signal } from "@preact/signals";
import { History } from "../tools/history";
import type { Measurement } from "../tools/measurements";
import type { Tool } from "../tools/registry";
import type { Choice } from "../wire/info";
import { seriesOf, type Series } from "../wire/lists";
import { follow } from "./linking";
import { PaneState } from "./pane_state";

export type Panel = "numbers" | "tags" | "measure" | "layers" | "";
export const MOST_PANES = 4;

export const panes = signal<readonly PaneState[]>([]);
export const activeId = signal(0);
export const active = computed<PaneState | null>(() => panes.value.find((pane) => pane.id === activeId.value) ?? panes.value[0] ?? null);
/** Of the pane that is shown alone while others are open; 0 where all are shown. */
const aloneId = signal(0);
export const alone = computed(() => (panes.value.length > 1 && panes.value.find((pane) => pane.id === aloneId.value)) || null);
export const tool = signal<Tool>("window");
export const panel = signal<Panel>("");
export const railOpen = signal(false);
export const helpOpen = signal(false);
/** Whether a slice's number is being typed. */
export const goingTo = signal(false);
export const linked = signal(true);
export const siblings = signal<readonly Series[]>([]);

export const measurements = signal<readonly Measurement[]>([]);
export const chosen = signal(0);
/** The measurement that the keyboard holds. */
export const grasped = signal(0);
const history = new History<readonly Measurement[]>();
let nextMeasurement = 1;

export const newId = (): number => nextMeasurement++;

/** Replaces the measurements by a step that can be undone. */
export function change(next: readonly Measurement[]): void {
  history.push(measurements.peek());
  measurements.value = next;
}

export function undo(): void {
  measurements.value = history.undo(measurements.value) ?? measurements.value;
}

export function redo(): void {
  measurements.value = history.redo(measurements.value) ?? measurements.value;
}

export function removeChosen(): void {
  if (measurements.value.some((item) => item.id === chosen.value)) change(measurements.value.filter((item) => item.id !== chosen.value));
}

export interface Opening {
  /** The slice to begin with, from 0. */
  readonly start?: number | null;
  readonly choice?: Choice;
}

/** Shows a series in the active pane, alone where `alone`. */
export function show(study: string, series: string, options: Opening & { alone?: boolean } = {}): PaneState {
  const pane = new PaneState(study, series, options.start ?? null, options.choice);
  const old = options.alone ? panes.peek() : panes.peek().filter((each) => each.id === active.peek()?.id);
  const layout = active.peek()?.layout.peek();
  const wasAlone = alone.peek() !== null;
  batch(() => {
    const kept = options.alone ? [] : panes.value.map((each) => (old.includes(each) ? pane : each));
    panes.value = kept.length ? kept : [pane];
    if (wasAlone) aloneId.value = pane.id;
    activeId.value = pane.id;
    if (layout) pane.layout.value = layout;
  });
  for (const each of old) each.close();
  return pane;
}

export function showBeside(study: string, series: string, options: Opening = {}): PaneState | null {
  if (panes.value.length >= MOST_PANES) return null;
  const pane = new PaneState(study, series, options.start ?? null, options.choice);
  const layout = active.peek()?.layout.peek();
  batch(() => {
    if (layout) pane.layout.value = layout;
    panes.value = [...panes.value, pane];
    activeId.value = pane.id;
    aloneId.value = 0;
  });
  return pane;
}

/** Shows a pane of several alone, or all of them again. */
export function toggleAlone(pane: PaneState): void {
  if (panes.value.length < 2) return;
  batch(() => {
    activeId.value = pane.id;
    aloneId.value = alone.value ? 0 : pane.id;
  });
}

export function closePane(pane: PaneState): void {
  if (panes.value.length < 2) return;
  panes.value = panes.value.filter((each) => each !== pane);
  pane.close();
}

export function closeAll(): void {
  const old = panes.value;
  batch(() => {
    panes.value = [];
    siblings.value = [];
    helpOpen.value = goingTo.value = false;
  });
  for (const each of old) each.close();
}

/** The next or previous series of the study, in the active pane. */
export function stepSeries(by: number): void {
  const pane = active.value;
  const at = siblings.value.findIndex((each) => each.uid === pane?.model.series);
  const next = siblings.value[at + by];
  if (pane && at >= 0 && next) show(next.study, next.uid);
}

/** The study of the first pane, once there is something to see of it: the first image waits for nothing else. */
const studyShown = computed(() => {
  const model = panes.value[0]?.model;
  return model && (model.version.value > 0 || model.pictures.value || model.documents.value || model.error.value) ? model.study : "";
});
effect(() => {
  const study = studyShown.value;
  if (!study || siblings.peek()[0]?.study === study) return;
  // Only to fill the rail: a failure there must not disturb the image.
  seriesOf(study).then(
    (found) => {
      if (studyShown.peek() === study) siblings.value = found;
    },
    () => undefined,
  );
});

/** Linked: the others go where the active one is, as far as they reach there. */
effect(() => {
  const lead = active.value;
  const place = lead?.cross.value;
  if (!lead || !place || !linked.value) return;
  for (const pane of panes.value) if (pane !== lead) follow(lead, place, pane, panes.value);
});
