// HU → grey by the standard's formulas (PS3.3 C.11.2.1.2), the same numbers as `hounsfield.ct.windowing` gives,
// and grey → colour; one table of 65 536 entries for both, so that a pixel costs one look-up.

import { OUTSIDE } from "../volume/sample";
import { colourMap, type ColourMapName } from "./colour_maps";

export interface Window {
  readonly center: number;
  readonly width: number;
}

/** A level or width as it is shown: tenths only where they are seen. */
export const shownNumber = (value: number, { width }: Window): number => +value.toFixed(width < 100 ? 1 : 0);

/** Half to even, as numpy's rint. */
function rint(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** 0 … 255 for one value, LINEAR (PS3.3 C.11.2.1.2.1). */
export function grey(value: number, window: Window): number {
  const c = window.center - 0.5;
  const w = window.width - 1;
  if (value <= c - w / 2) return 0;
  if (value > c + w / 2) return 255;
  return rint(((value - c) / w + 0.5) * 255);
}

export interface Threshold {
  readonly low: number;
  readonly high: number;
}

export interface Look {
  readonly window: Window;
  readonly invert: boolean;
  readonly colours: ColourMapName;
  readonly threshold: Threshold | null;
}

const MARK = [255, 84, 61] as const;
const MARK_SHARE = 0.55;

/** RGBA (bytes in memory order) of every int16 value, indexed by its bits; `OUTSIDE` is transparent where asked. */
export function palette(look: Look, outsideTransparent: boolean): Uint32Array {
  const colours = colourMap(look.colours);
  const bytes = new Uint8ClampedArray(65536 * 4);
  for (let value = -32768; value <= 32767; value++) {
    let shade = grey(value, look.window);
    if (look.invert) shade = 255 - shade;
    const at = (value & 0xffff) * 4;
    const marked = look.threshold !== null && value >= look.threshold.low && value <= look.threshold.high;
    for (let channel = 0; channel < 3; channel++) {
      const plain = colours[shade * 3 + channel]!;
      bytes[at + channel] = marked ? plain * (1 - MARK_SHARE) + MARK[channel]! * MARK_SHARE : plain;
    }
    bytes[at + 3] = 255;
  }
  if (outsideTransparent) bytes[(OUTSIDE & 0xffff) * 4 + 3] = 0;
  return new Uint32Array(bytes.buffer);
}

export interface Preset {
  readonly key: string;
  readonly name: "soft" | "lung" | "liver" | "bone" | "brain" | "mediastinum" | "stroke" | "subdural" | "angio";
  readonly window: Window;
}

/** The keys 1–9. */
export const PRESETS: readonly Preset[] = [
  { key: "1", name: "soft", window: { center: 40, width: 400 } },
  { key: "2", name: "lung", window: { center: -600, width: 1500 } },
  { key: "3", name: "liver", window: { center: 90, width: 150 } },
  { key: "4", name: "bone", window: { center: 480, width: 2500 } },
  { key: "5", name: "brain", window: { center: 40, width: 80 } },
  { key: "6", name: "mediastinum", window: { center: 50, width: 350 } },
  { key: "7", name: "stroke", window: { center: 40, width: 40 } },
  { key: "8", name: "subdural", window: { center: 75, width: 200 } },
  { key: "9", name: "angio", window: { center: 300, width: 600 } },
];

/** A window that shows what is in `values` from its first to its last percent. */
export function automaticWindow(values: Int16Array): Window {
  const sample = new Int16Array(Math.min(values.length, 16384));
  const step = values.length / sample.length;
  for (let i = 0; i < sample.length; i++) sample[i] = values[Math.floor(i * step)]!;
  sample.sort();
  const low = sample[Math.floor(sample.length * 0.01)] ?? 0;
  const high = sample[Math.ceil(sample.length * 0.99) - 1] ?? 1;
  return { center: Math.round((low + high) / 2), width: Math.max(2, high - low) };
}
