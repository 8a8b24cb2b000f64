// Colours of layers: of labels by segment, of a dose by a wash, of a difference from blue over black to red. As
// palettes of every int16 value, like those of the values beneath.

import { OUTSIDE } from "../volume/sample";
import { colourMap } from "./colour_maps";

export type Rgb = readonly [number, number, number];

export interface LabelStyle {
  readonly colour: Rgb;
  readonly visible: boolean;
}

function paletteOf(colour: (value: number, put: (rgb: Rgb, alpha: number) => void) => void, values: Iterable<number>): Uint32Array {
  const bytes = new Uint8ClampedArray(65536 * 4);
  for (const value of values) {
    if (value === OUTSIDE) continue;
    const at = (value & 0xffff) * 4;
    colour(value, (rgb, alpha) => bytes.set([...rgb, alpha * 255], at));
  }
  return new Uint32Array(bytes.buffer);
}

/** Of label numbers; what has no style, and 0, is transparent. */
export function labelPalette(styles: ReadonlyMap<number, LabelStyle>, opacity: number): Uint32Array {
  return paletteOf((value, put) => {
    const style = styles.get(value);
    if (style?.visible) put(style.colour, opacity);
  }, styles.keys());
}

function* everyValue(): Iterable<number> {
  for (let value = -32768; value <= 32767; value++) yield value;
}

/** Of values from `low` on, as a wash up to `high`; below it nothing. */
export function washPalette(scale: number, low: number, high: number, opacity: number): Uint32Array {
  return paletteOf((value, put) => {
    const real = value * scale;
    if (real >= low && real > 0) put(washColour((real - low) / Math.max(1e-12, high - low)), opacity);
  }, everyValue());
}

const WASH = colourMap("spectrum");

/** The colour of a share, 0 … 1, of the wash. */
export function washColour(share: number): Rgb {
  const at = Math.round(Math.min(Math.max(share, 0), 1) * 255) * 3;
  return [WASH[at]!, WASH[at + 1]!, WASH[at + 2]!];
}

/** Of differences: black where there is none, full colour from ± `reach` on. */
export function differencePalette(scale: number, reach: number, opacity: number): Uint32Array {
  return paletteOf((value, put) => put(differenceColour((value * scale) / Math.max(1e-12, reach)), opacity), everyValue());
}

/** The stops of one side: at nothing, at a third, at all of the reach. */
const LESS: readonly Rgb[] = [[0, 0, 0], [28, 92, 190], [150, 214, 255]];
const MORE: readonly Rgb[] = [[0, 0, 0], [196, 60, 22], [255, 214, 120]];

/** The colour of a share, −1 … 1, of the reach. */
export function differenceColour(share: number): Rgb {
  const stops = share < 0 ? LESS : MORE;
  // The root, so that the smallest differences are seen beside nothing at all.
  const size = Math.sqrt(Math.min(Math.abs(share), 1)) * 2;
  const below = Math.min(Math.floor(size), 1);
  const part = size - below;
  return [0, 1, 2].map((channel) => Math.round(stops[below]![channel]! + (stops[below + 1]![channel]! - stops[below]![channel]!) * part)) as unknown as Rgb;
}
