// What a button, wheel or key does: OHIF's bindings, changeable for the mouse. Pure: events in, names out.

import { TOOLS, type Tool } from "./registry";

export type DragAction = "window" | "pan" | "zoom" | "scroll" | "tool";
export type Button = "left" | "middle" | "right";
export type Buttons = Readonly<Record<Button, DragAction>>;

export const BUTTONS: Buttons = { left: "tool", middle: "pan", right: "zoom" };
export const DRAG_ACTIONS: readonly DragAction[] = ["tool", "window", "pan", "zoom", "scroll"];

export function buttonOf(event: { button: number }): Button {
  return event.button === 1 ? "middle" : event.button === 2 ? "right" : "left";
}

export type Command =
  | "next" | "previous" | "first" | "last" | "pageNext" | "pagePrevious" | "nextSeries" | "previousSeries"
  | "zoomIn" | "zoomOut" | "fit" | "actual" | "left" | "right" | "turnRight" | "turnLeft" | "flipHorizontal" | "flipVertical"
  | "invert" | "cine" | "reset" | "undo" | "redo" | "remove" | "help" | "escape" | "stack" | "planes" | "alone" | "interpolate"
  | "panelNumbers" | "panelTags" | "panelMeasure" | "panelLayers" | "layersOff" | "turnPlanesLeft" | "turnPlanesRight" | "straighten" | "png" | "goTo" | `tool:${Tool}` | `preset${number}`;

/** In the order of the help. */
export const KEYS: readonly (readonly [string, Command])[] = [
  ["ArrowDown", "next"],
  ["ArrowUp", "previous"],
  ["Home", "first"],
  ["End", "last"],
  ["Ctrl+g", "goTo"],
  ["Shift+ArrowDown", "pageNext"],
  ["Shift+ArrowUp", "pagePrevious"],
  ["PageDown", "nextSeries"],
  ["PageUp", "previousSeries"],
  ["c", "cine"],
  ["+", "zoomIn"],
  ["-", "zoomOut"],
  ["=", "fit"],
  ["0", "actual"],
  ["r", "turnRight"],
  ["l", "turnLeft"],
  ["h", "flipHorizontal"],
  ["v", "flipVertical"],
  ["i", "invert"],
  ["n", "interpolate"],
  [" ", "reset"],
  ["s", "stack"],
  ["m", "planes"],
  ["[", "turnPlanesLeft"],
  ["]", "turnPlanesRight"],
  ["\\", "straighten"],
  ["o", "alone"],
  ...TOOLS.flatMap(({ key, name }): [string, Command][] => (key ? [[key, `tool:${name}`]] : [])),
  ["Delete", "remove"],
  ["Ctrl+z", "undo"],
  ["Ctrl+y", "redo"],
  ["j", "panelNumbers"],
  ["g", "panelTags"],
  ["k", "panelMeasure"],
  ["q", "panelLayers"],
  [",", "layersOff"],
  ["Ctrl+s", "png"],
  ["?", "help"],
  ["Escape", "escape"],
];

const BY_KEY = new Map<string, Command>([
  ...KEYS,
  ["Ctrl+Shift+z", "redo"],
  ["Backspace", "remove"],
  ["ArrowRight", "next"],
  ["ArrowLeft", "previous"],
  ["_", "zoomOut"],
  ...Array.from({ length: 9 }, (_, k): [string, Command] => [String(k + 1), `preset${k + 1}`]),
]);

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
}

/** The command of a key, or undefined for one that is the browser's. */
export function commandOf(press: KeyPress): Command | undefined {
  if (press.altKey) return undefined;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  const ctrl = press.ctrlKey || press.metaKey ? "Ctrl+" : "";
  const shift = press.shiftKey && (press.key.length > 1 || ctrl) ? "Shift+" : "";
  return BY_KEY.get(ctrl + shift + key);
}
