// What keys and buttons do, by name.

import { flipped, turned, UPRIGHT, actualSize } from "../render/pose";
import { PRESETS } from "../render/window";
import { commandOf, type Command } from "../tools/bindings";
import { graspByKey } from "./grasping";
import type { PaneState, ViewName } from "./pane_state";
import { savePng } from "./png";
import { active, helpOpen, panel, railOpen, redo, removeChosen, stepSeries, tool, undo, type Panel, type Tool } from "./session";
import { drawings } from "./view";

const CINE_FPS = 15;

export function play(pane: PaneState): void {
  if (pane.playing.value) {
    pane.playing.value = false;
    return;
  }
  pane.playing.value = true;
  let last = performance.now();
  const step = (now: number): void => {
    if (!pane.playing.peek()) return;
    if (now - last >= 1000 / CINE_FPS) {
      last = now;
      pane.goTo(pane.slice.peek() + 1 < pane.model.count ? pane.slice.peek() + 1 : 0);
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

const toggle = (name: Panel): void => void (panel.value = panel.value === name ? "" : name);
const take = (name: Tool): void => void (tool.value = name);

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

const onPane: Partial<Record<Command, (pane: PaneState) => void>> = {
  next: (pane) => pane.scrollView(focusedView(pane), 1),
  previous: (pane) => pane.scrollView(focusedView(pane), -1),
  first: (pane) => pane.goView(focusedView(pane), 0),
  last: (pane) => pane.goView(focusedView(pane), pane.steps(focusedView(pane)).count - 1),
  pageNext: (pane) => pane.scrollView(focusedView(pane), 10),
  pagePrevious: (pane) => pane.scrollView(focusedView(pane), -10),
  zoomIn: (pane) => pane.changePoses((pose) => ({ ...pose, zoom: pose.zoom * 1.25, x: pose.x * 1.25, y: pose.y * 1.25 })),
  zoomOut: (pane) => pane.changePoses((pose) => ({ ...pose, zoom: pose.zoom / 1.25, x: pose.x / 1.25, y: pose.y / 1.25 })),
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
  stack: (pane) => (pane.layout.value = "stack"),
  planes: (pane) => void (pane.model.hasPlanes && (pane.layout.value = "planes")),
  png: (pane) => void savePng(pane),
};

const onPage: Partial<Record<Command, () => void>> = {
  nextSeries: () => stepSeries(1),
  previousSeries: () => stepSeries(-1),
  undo,
  redo,
  remove: removeChosen,
  help: () => (helpOpen.value = !helpOpen.value),
  escape,
  toolWindow: () => take("window"),
  toolPan: () => take("pan"),
  toolZoom: () => take("zoom"),
  toolScroll: () => take("scroll"),
  toolLength: () => take("length"),
  toolAngle: () => take("angle"),
  toolRectangle: () => take("rectangle"),
  toolEllipse: () => take("ellipse"),
  toolFreehand: () => take("freehand"),
  toolProbe: () => take("probe"),
  panelNumbers: () => toggle("numbers"),
  panelTags: () => toggle("tags"),
  panelMeasure: () => toggle("measure"),
};

function escape(): void {
  if (helpOpen.value) helpOpen.value = false;
  else if (railOpen.value) railOpen.value = false;
  else if (tool.value !== "window") tool.value = "window";
  else panel.value = "";
}

export function run(command: Command): void {
  const pane = active.value;
  const preset = PRESETS.find((each) => command === `preset${each.key}`);
  if (preset && pane) pane.chosenWindow.value = preset.window;
  else if (onPage[command]) onPage[command]();
  else if (pane) onPane[command]?.(pane);
}

/** Keys work wherever no text is being typed; a control that has the focus keeps the keys it needs itself. */
export function listenToKeys(): void {
  window.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (target.closest("input:not([type=range]):not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") target.blur();
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
