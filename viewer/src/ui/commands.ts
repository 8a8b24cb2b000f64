// What keys and buttons do, by name.

import { actualSize, flipped, turned, UPRIGHT, zoomed } from "../render/pose";
import { PRESETS, type Preset } from "../render/window";
import { commandOf, type Command } from "../tools/bindings";
import { TOOLS } from "../tools/registry";
import type { PlaneName } from "../volume/planes";
import { isHounsfield } from "../wire/info";
import { graspByKey } from "./grasping";
import { visible } from "./measuring";
import type { PaneState, ViewName } from "./pane_state";
import { savePng } from "./png";
import { active, alone, chosen, goingTo, helpOpen, panel, railOpen, redo, removeChosen, stepSeries, toggleAlone, tool, undo, type Panel } from "./session";
import { drawings } from "./view";

const SLACK_MS = 4;

export function play(pane: PaneState): void {
  if (pane.playing.value) {
    pane.playing.value = false;
    return;
  }
  if (pane.model.count < 2) return;
  pane.playing.value = true;
  let last = performance.now();
  const step = (now: number): void => {
    if (!pane.playing.peek()) return;
    const each = 1000 / pane.rate.peek();
    // Screens are told the time in steps of their own: almost due is due, and what was early or late is not added up.
    if (now - last >= each - SLACK_MS) {
      last = Math.max(last + each, now - each);
      const view = focusedView(pane);
      const { count, at } = pane.steps(view);
      pane.goView(view, at + 1 < count ? at + 1 : 0);
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

const toggle = (name: Panel): void => void (panel.value = panel.value === name ? "" : name);

function actual(pane: PaneState): void {
  for (const [key, drawing] of drawings) {
    const [id, view] = key.split("/") as [string, ViewName];
    if (Number(id) !== pane.id || !drawing.values.raster) continue;
    pane.setPose(view, actualSize(pane.poses.value[view], drawing.values.raster, drawing.pane(), devicePixelRatio));
  }
}

/** The view that has the keyboard's focus; else the only one, or the slices themselves. */
export function focusedView(pane: PaneState): ViewName {
  const element = document.activeElement?.closest<HTMLElement>(`[data-pane="${pane.id}"]`);
  const focused = pane.views.find((view) => view === element?.dataset["view"]);
  return focused ?? (pane.views.length === 1 ? pane.views[0]! : "stack");
}

/** How far a key turns the planes. */
const TURN_DEGREES = 2;

/** The plane about whose normal the others are turned: the one that has the focus, else the axial one. */
function focusedPlane(pane: PaneState): PlaneName {
  const view = focusedView(pane);
  return view === "stack" ? "axial" : view;
}

const onPane: Partial<Record<Command, (pane: PaneState) => void>> = {
  next: (pane) => pane.scrollView(focusedView(pane), 1),
  previous: (pane) => pane.scrollView(focusedView(pane), -1),
  first: (pane) => pane.goView(focusedView(pane), 0),
  last: (pane) => pane.goView(focusedView(pane), pane.steps(focusedView(pane)).count - 1),
  pageNext: (pane) => pane.scrollView(focusedView(pane), 10),
  pagePrevious: (pane) => pane.scrollView(focusedView(pane), -10),
  zoomIn: (pane) => pane.changePoses((pose) => zoomed(pose, 1.25)),
  zoomOut: (pane) => pane.changePoses((pose) => zoomed(pose, 1 / 1.25)),
  fit: (pane) => pane.changePoses((pose) => ({ ...UPRIGHT, turn: pose.turn, flip: pose.flip })),
  actual,
  turnRight: (pane) => pane.changePoses((pose) => turned(pose, 90)),
  turnLeft: (pane) => pane.changePoses((pose) => turned(pose, -90)),
  flipHorizontal: (pane) => pane.changePoses((pose) => flipped(pose, true)),
  flipVertical: (pane) => pane.changePoses((pose) => flipped(pose, false)),
  invert: (pane) => (pane.inverted.value = !pane.inverted.value),
  interpolate: (pane) => (pane.smooth.value = !pane.smooth.value),
  cine: play,
  reset: (pane) => pane.reset(),
  turnPlanesLeft: (pane) => pane.turnPlanes(focusedPlane(pane), -TURN_DEGREES),
  turnPlanesRight: (pane) => pane.turnPlanes(focusedPlane(pane), TURN_DEGREES),
  straighten: (pane) => (pane.turn.value = [0, 0, 0]),
  layersOff: (pane) => pane.layers.toggleAll(),
  stack: (pane) => (pane.layout.value = "stack"),
  planes: (pane) => void (pane.model.hasPlanes && (pane.layout.value = "planes")),
  alone: toggleAlone,
  png: (pane) => void savePng(pane),
};

const onPage: Partial<Record<Command, () => void>> = {
  nextSeries: () => stepSeries(1),
  previousSeries: () => stepSeries(-1),
  undo,
  redo,
  remove,
  goTo: () => void (goingTo.value = (active.value?.model.count ?? 0) > 1),
  help: () => (helpOpen.value = !helpOpen.value),
  escape,
  panelNumbers: () => toggle("numbers"),
  panelTags: () => toggle("tags"),
  panelMeasure: () => toggle("measure"),
  panelLayers: () => toggle("layers"),
};

/** Only what is seen is deleted by a key; the panel deletes anything that it lists. */
function remove(): void {
  const seen = [...drawings.values()].some(({ values }) => visible(values).some((item) => item.id === chosen.value));
  if (seen || panel.value === "measure") removeChosen();
}

function escape(): void {
  const drawn = [...drawings.values()].map((drawing) => drawing.abandon());
  if (drawn.includes(true)) return;
  if (helpOpen.value) helpOpen.value = false;
  else if (goingTo.value) goingTo.value = false;
  else if (railOpen.value) railOpen.value = false;
  else if (tool.value !== "window") tool.value = "window";
  else if (alone.value) toggleAlone(alone.value);
  else panel.value = "";
}

/** Presets are in HU: of a CT only, even one whose unit is not told. */
export function presetsOf({ model }: PaneState): readonly Preset[] {
  const info = model.info.value;
  return info && (isHounsfield(info.unit) || info.header["Modality"] === "CT") ? PRESETS : [];
}

export function run(command: Command): void {
  const pane = active.value;
  if (command.startsWith("preset")) {
    const preset = pane && presetsOf(pane).find((each) => command === `preset${each.key}`);
    if (preset) pane.chosenWindow.value = preset.window;
  }
  else if (command.startsWith("tool:")) tool.value = TOOLS.find(({ name }) => command === `tool:${name}`)?.name ?? tool.value;
  else if (onPage[command]) onPage[command]();
  else if (pane) onPane[command]?.(pane);
}

/** Whether the mouse, not the keyboard, was used last. */
let pointed = false;

/** A list that was chosen from by mouse gives the arrow keys back to the image. */
function letGo(event: Event): void {
  if (pointed && event.target instanceof HTMLSelectElement && event.target.closest(".toolbar, .caption")) event.target.blur();
}

/** What the line of numbers says, where nothing else is selected to be copied. */
function copyNumbers(event: ClipboardEvent): void {
  const line = document.querySelector<HTMLElement>(".readout[data-voxel]");
  const editing = document.activeElement?.matches("input, textarea");
  if (!line || editing || !getSelection()?.isCollapsed) return;
  event.clipboardData?.setData("text/plain", [...line.children].map((part) => part.textContent).join("\t").replaceAll("−", "-"));
  event.preventDefault();
}

/** Keys work wherever no text is being typed; a control that has the focus keeps the keys it needs itself. */
export function listenToKeys(): void {
  window.addEventListener("pointerdown", () => (pointed = true), true);
  window.addEventListener("change", letGo);
  document.addEventListener("copy", copyNumbers);
  window.addEventListener("keydown", (event) => {
    pointed = false;
    const target = event.target as HTMLElement;
    if (target.closest("input:not([type=range]):not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape" || (event.key === "Enter" && target.matches(".bar input"))) target.blur();
      return;
    }
    if (event.defaultPrevented) return;
    const view = target.closest<HTMLElement>(".view");
    if (view && graspByKey(event, drawings.get(`${view.dataset["pane"]}/${view.dataset["view"]}`))) {
      event.preventDefault();
      return;
    }
    const command = commandOf(event);
    if (!command || (!active.value && command !== "help" && command !== "escape")) return;
    const onControl = target.closest("button, a, summary, [role=slider], [role=tab]");
    if (onControl && (event.key === " " || event.key === "Enter" || (event.key.startsWith("Arrow") && onControl.matches("[role=slider], [role=tab]")))) return;
    event.preventDefault();
    run(command);
  });
}
