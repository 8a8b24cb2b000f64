// Values on a thin plane through the volume: nearest or trilinear. Slabs are made of it in slab.ts.
//
// The raster's steps become steps in (slice, row, column) by the inverse affine, so that tilt costs nothing and is
// exact. Where no voxel lies, or its slice has not come yet, the raster holds `OUTSIDE`.

import { stepToIndex, type Inverse } from "./affine";
import type { Raster } from "./raster";
import type { Vec3 } from "./vector";

export const OUTSIDE = -32768;

export type SlabMode = "mip" | "minip" | "mean";

export interface Slab {
  readonly mode: SlabMode;
  /** mm; 0 is one thin plane. */
  readonly thickness: number;
}

export interface Sampling {
  readonly linear: boolean;
  readonly slab: Slab;
}

/** The slices of a volume; those that have not come are undefined. */
export type Held = readonly (Int16Array | undefined)[];
export type SliceAt = (index: number) => Int16Array | undefined;

/** Half a voxel beyond the outermost centres still belongs to the volume. */
const EDGE = 0.5;

/** The values of one plane; `start`: (slice, row, column) of its first pixel. */
export function fill(shape: Vec3, held: Held, raster: Raster, inverse: Inverse, start: Vec3, linear: boolean, values: Int16Array): void {
  const across = stepToIndex(inverse, raster.across);
  const down = stepToIndex(inverse, raster.down);
  for (let y = 0; y < raster.height; y++) {
    const from: Vec3 = [start[0] + y * down[0], start[1] + y * down[1], start[2] + y * down[2]];
    const line = values.subarray(y * raster.width, (y + 1) * raster.width);
    line.fill(OUTSIDE);
    const [first, last] = inside(shape, from, across, raster.width);
    if (linear && Math.abs(across[0]) < 1e-9) lineWithinSlices(shape, held, from, across, first, last, line);
    else if (linear) lineLinear(shape, held, from, across, first, last, line);
    else lineNearest(shape, held, from, across, first, last, line);
  }
}

/** The first and one past the last pixel of a line that lie in the volume. */
function inside(shape: Vec3, from: Vec3, across: Vec3, width: number): [number, number] {
  let first = 0;
  let last = width;
  for (let axis = 0; axis < 3; axis++) {
    const low = -EDGE;
    const high = shape[axis]! - 1 + EDGE;
    const step = across[axis]!;
    if (Math.abs(step) < 1e-12) {
      if (from[axis]! < low || from[axis]! >= high) return [0, 0];
      continue;
    }
    const a = (low - from[axis]!) / step;
    const b = (high - from[axis]!) / step;
    first = Math.max(first, Math.ceil(Math.min(a, b) + 1e-9));
    last = Math.min(last, Math.ceil(Math.max(a, b) - 1e-9));
  }
  return [first, Math.max(first, last)];
}

function lineNearest(shape: Vec3, held: Held, from: Vec3, across: Vec3, first: number, last: number, line: Int16Array): void {
  const [, rows, columns] = shape;
  for (let x = first; x < last; x++) {
    const slice = held[Math.min(Math.max(Math.floor(from[0] + x * across[0] + 0.5), 0), shape[0] - 1)];
    if (!slice) continue;
    const r = Math.min(Math.max(Math.floor(from[1] + x * across[1] + 0.5), 0), rows - 1);
    const c = Math.min(Math.max(Math.floor(from[2] + x * across[2] + 0.5), 0), columns - 1);
    line[x] = slice[r * columns + c]!;
  }
}

/** A line that stays between the same two slices, as most do: which two, and their shares, are found once. */
function lineWithinSlices(shape: Vec3, held: Held, from: Vec3, across: Vec3, first: number, last: number, line: Int16Array): void {
  const [count, rows, columns] = shape;
  const s = Math.min(Math.max(from[0], 0), count - 1);
  const below = held[s | 0];
  const fs = s - (s | 0);
  const above = fs > 1e-6 ? held[(s | 0) + 1] : below;
  if (!below || !above) return;
  const [dr, dc] = [across[1], across[2]];
  for (let x = first; x < last; x++) {
    const r = Math.min(Math.max(from[1] + x * dr, 0), rows - 1);
    const c = Math.min(Math.max(from[2] + x * dc, 0), columns - 1);
    const r0 = r | 0;
    const c0 = c | 0;
    const fr = r - r0;
    const fc = c - c0;
    const a = r0 * columns + c0;
    const b = fc > 0 ? a + 1 : a;
    const under = fr > 0 ? columns : 0;
    const top = below[a]! + (below[b]! - below[a]!) * fc;
    const value = top + (below[a + under]! + (below[b + under]! - below[a + under]!) * fc - top) * fr;
    if (above === below) {
      line[x] = Math.round(value);
      continue;
    }
    const top1 = above[a]! + (above[b]! - above[a]!) * fc;
    const value1 = top1 + (above[a + under]! + (above[b + under]! - above[a + under]!) * fc - top1) * fr;
    line[x] = Math.round(value + (value1 - value) * fs);
  }
}

function lineLinear(shape: Vec3, held: Held, from: Vec3, across: Vec3, first: number, last: number, line: Int16Array): void {
  const [count, rows, columns] = shape;
  for (let x = first; x < last; x++) {
    const s = Math.min(Math.max(from[0] + x * across[0], 0), count - 1);
    const r = Math.min(Math.max(from[1] + x * across[1], 0), rows - 1);
    const c = Math.min(Math.max(from[2] + x * across[2], 0), columns - 1);
    const s0 = s | 0;
    const r0 = r | 0;
    const c0 = c | 0;
    const below = held[s0];
    const fs = s - s0;
    const above = fs > 1e-6 ? held[s0 + 1] : below;
    if (!below || !above) continue;
    const fr = r - r0;
    const fc = c - c0;
    const here = r0 * columns + c0;
    const right = fc > 0 ? here + 1 : here;
    const under = fr > 0 ? columns : 0;
    const top0 = below[here]! + (below[right]! - below[here]!) * fc;
    const bottom0 = below[here + under]! + (below[right + under]! - below[here + under]!) * fc;
    let value = top0 + (bottom0 - top0) * fr;
    if (fs > 1e-6) {
      const top1 = above[here]! + (above[right]! - above[here]!) * fc;
      const bottom1 = above[here + under]! + (above[right + under]! - above[here + under]!) * fc;
      value += (top1 + (bottom1 - top1) * fr - value) * fs;
    }
    line[x] = Math.round(value);
  }
}
