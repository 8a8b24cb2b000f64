// The whole view in the address: what is open, how it is looked at. Read once, then kept up to date; the browser's
// back button goes from a view to the list. The session's token is never part of it.

import { batch, effect, signal } from "@preact/signals";
import { COLOUR_MAPS } from "../render/colour_maps";
import { UPRIGHT, type Pose } from "../render/pose";
import { TOOLS } from "../tools/registry";
import type { Vec3 } from "../volume/vector";
import { layersText, readLayers } from "./layers_address";
import { LAYOUTS, type PaneState, type ViewName } from "./pane_state";
import { alone, closeAll, linked, panel, panes, show, showBeside, toggleAlone, tool, type Panel } from "./session";
import { isLanguage, isTheme, language, theme } from "./settings";

export const searchText = signal("");
const VIEWS: readonly ViewName[] = ["stack", "axial", "coronal", "sagittal"];
const PANELS: readonly Panel[] = ["numbers", "tags", "measure", "layers"];

const short = (value: number): string => String(+value.toFixed(3));
const poseText = (pose: Pose): string => [pose.zoom, pose.x, pose.y, pose.turn].map(short).join(",") + (pose.flip ? ",f" : "");

function numbers(text: string | null, count: number): number[] | null {
  const found = (text ?? "").split(",").slice(0, count).map(Number.parseFloat);
  return found.length === count && found.every(Number.isFinite) ? found : null;
}

/** One pane as parameters, each name led by `prefix`. */
function writePane(pane: PaneState, query: URLSearchParams, prefix: string): void {
  const put = (name: string, value: string | null): void => {
    if (value !== null) query.set(prefix + name, value);
  };
  put("study", pane.model.study);
  put("series", pane.model.series);
  const { part, phase } = pane.model.choice;
  put("part", part === null ? null : String(part));
  put("phase", phase === null ? null : String(phase));
  put("slice", pane.slice.value < 0 ? null : String(pane.slice.value + 1));
  const window = pane.chosenWindow.value;
  put("window", window && `${window.center},${window.width}`);
  for (const view of VIEWS) if (pane.poses.value[view] !== UPRIGHT) put(view === "stack" ? "pose" : `pose-${view}`, poseText(pane.poses.value[view]));
  put("invert", pane.inverted.value ? "1" : null);
  put("colours", pane.colours.value === "grey" ? null : pane.colours.value);
  put("smooth", pane.smooth.value ? null : "0");
  const threshold = pane.threshold.value;
  put("threshold", threshold && `${threshold.low},${threshold.high}`);
  put("layers", layersText(pane.layers));
  if (pane.layout.value === "stack") return;
  put("layout", pane.layout.value);
  put("cross", pane.cross.value && pane.cross.value.map(short).join(","));
  put("frame", pane.frame.value === "slices" ? null : pane.frame.value);
  put("turn", pane.turn.value.some((part) => part !== 0) ? pane.turn.value.map(short).join(",") : null);
  put("slab", pane.slab.value.thickness ? `${pane.slab.value.mode},${pane.slab.value.thickness}` : null);
}

function readPane(pane: PaneState, query: URLSearchParams, prefix: string): void {
  const get = (name: string): string | null => query.get(prefix + name);
  const window = numbers(get("window"), 2);
  if (window && window[1]! >= 1) pane.chosenWindow.value = { center: window[0]!, width: window[1]! };
  for (const view of VIEWS) {
    const text = get(view === "stack" ? "pose" : `pose-${view}`);
    const pose = numbers(text, 4);
    if (pose && pose[0]! > 0) pane.setPose(view, { zoom: pose[0]!, x: pose[1]!, y: pose[2]!, turn: pose[3]!, flip: text!.endsWith("f") });
  }
  pane.inverted.value = get("invert") === "1";
  pane.colours.value = COLOUR_MAPS.find((known) => known === get("colours")) ?? "grey";
  pane.smooth.value = get("smooth") !== "0";
  const threshold = numbers(get("threshold"), 2);
  if (threshold) pane.threshold.value = { low: threshold[0]!, high: threshold[1]! };
  readLayers(pane.layers, get("layers") ?? "");
  pane.layout.value = LAYOUTS.find((known) => known === get("layout")) ?? "stack";
  const cross = numbers(get("cross"), 3);
  if (cross) pane.cross.value = cross as unknown as Vec3;
  if (get("frame") === "patient") pane.frame.value = "patient";
  const turn = numbers(get("turn"), 3);
  if (turn) pane.turn.value = turn as unknown as Vec3;
  const [mode, thickness] = (get("slab") ?? "").split(",");
  if ((mode === "mip" || mode === "minip" || mode === "mean") && Number(thickness) > 0) pane.slab.value = { mode, thickness: Number(thickness) };
}

const index = (text: string | null): number | null => (text && /^\d{1,6}$/.test(text) ? Number(text) : null);

/** Opens what the address names. */
export function readAddress(): void {
  const query = new URLSearchParams(location.hash.replace(/^#\/?\??/, ""));
  batch(() => {
    const [lang, look] = [query.get("lang"), query.get("theme")];
    if (isLanguage(lang)) language.value = lang;
    if (isTheme(look)) theme.value = look;
    searchText.value = query.get("q") ?? "";
    panel.value = PANELS.find((known) => known === query.get("panel")) ?? "";
    tool.value = TOOLS.find(({ name }) => name === query.get("tool"))?.name ?? "window";
    linked.value = query.get("linked") !== "0";
    let first = true;
    for (const prefix of ["", "2-", "3-", "4-"]) {
      const [study, series] = [query.get(`${prefix}study`), query.get(`${prefix}series`)];
      if (!study || !series) continue;
      const slice = index(query.get(`${prefix}slice`));
      const options = { start: slice === null ? null : slice - 1, choice: { part: index(query.get(`${prefix}part`)), phase: index(query.get(`${prefix}phase`)) } };
      const pane = first ? show(study, series, { ...options, alone: true }) : showBeside(study, series, options);
      if (pane) readPane(pane, query, prefix);
      first = false;
    }
    const only = panes.value[(index(query.get("alone")) ?? 0) - 1];
    if (only) toggleAlone(only);
    if (first) closeAll();
  });
}

function address(): string {
  const query = new URLSearchParams();
  if (!panes.value.length && searchText.value) query.set("q", searchText.value);
  panes.value.forEach((pane, k) => writePane(pane, query, k ? `${k + 1}-` : ""));
  if (panes.value.length) {
    if (panel.value) query.set("panel", panel.value);
    if (tool.value !== "window") query.set("tool", tool.value);
    if (!linked.value) query.set("linked", "0");
    if (alone.value) query.set("alone", String(panes.value.indexOf(alone.value) + 1));
  }
  query.set("lang", language.value);
  if (theme.value !== "system") query.set("theme", theme.value);
  return `#/?${query.toString().replaceAll("%2C", ",").replaceAll("%21", "!").replaceAll("%7E", "~")}`;
}

const QUIET_MS = 150;

/** Keeps the address true; a view opened from the list is a step that "back" undoes. */
export function keepAddress(): void {
  let timer = 0;
  let wasOpen = panes.value.length > 0;
  let written = location.hash;
  effect(() => {
    const next = address();
    const isOpen = panes.value.length > 0;
    clearTimeout(timer);
    if (isOpen && !wasOpen) {
      history.pushState(null, "", next);
      written = location.hash;
    } else {
      timer = window.setTimeout(() => {
        history.replaceState(null, "", next);
        written = location.hash;
      }, QUIET_MS);
    }
    wasOpen = isOpen;
  });
  const reread = (): void => {
    if (location.hash === written) return;
    written = location.hash;
    wasOpen = location.hash.includes("series=");
    readAddress();
  };
  window.addEventListener("popstate", reread);
  window.addEventListener("hashchange", reread);
}
