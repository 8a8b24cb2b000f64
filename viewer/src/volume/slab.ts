// Slabs: the maximum, minimum or mean of what lies within so many mm of a plane.
//
// Where a plane runs along the voxels, whole voxel layers are projected first and the one that is left is sampled:
// a look-up a voxel, none interpolated. Any other slab is sampled layer by layer, in steps, so that a page can do
// something else in between.

import { invert, stepToIndex, toIndex, type Inverse } from "./affine";
import type { Grid } from "./planes";
import { rasterNormal, type Raster } from "./raster";
import { fill, OUTSIDE, type Held, type Sampling, type Slab, type SlabMode, type SliceAt } from "./sample";
import { scale, type Vec3 } from "./vector";

const MOST_LAYERS = 1024;
/** Steps across a raster that are none, in voxels. */
const FLAT = 1e-3;

/** A plane of values, thin or a slab, whole. */
export function samplePlane(grid: Grid, slices: SliceAt, raster: Raster, sampling: Sampling, out?: Int16Array): Int16Array {
  const values = out?.length === raster.width * raster.height ? out : new Int16Array(raster.width * raster.height);
  const inverse = invert(grid.affine);
  if (!inverse) return values.fill(OUTSIDE);
  const held = Array.from({ length: grid.shape[0] }, (_, index) => slices(index));
  if (sampling.slab.thickness > 0) for (const _ of sampleSlab(grid, held, raster, inverse, sampling, values));
  else fill(grid.shape, held, raster, inverse, toIndex(inverse, raster.origin), sampling.linear, values);
  return values;
}

/** How a slab lies in the voxels: along which axis, whether straight through them, and where its layers are (mm). */
interface Course {
  readonly axis: number;
  readonly straight: boolean;
  /** First and last voxel of the axis, where it is straight. */
  readonly first: number;
  readonly last: number;
  readonly offsets: readonly number[];
}

function courseOf(slab: Slab, inverse: Inverse, raster: Raster, shape: Vec3): Course {
  const perMm = stepToIndex(inverse, rasterNormal(raster));
  const axis = [0, 1, 2].reduce((best, each) => (Math.abs(perMm[each]!) > Math.abs(perMm[best]!) ? each : best), 0);
  const rate = perMm[axis]!;
  const reach = (slab.thickness / 2) * Math.abs(rate);
  const slant = Math.max(Math.abs(stepToIndex(inverse, raster.across)[axis]!) * raster.width, Math.abs(stepToIndex(inverse, raster.down)[axis]!) * raster.height);
  if (slant < FLAT) {
    const here = toIndex(inverse, raster.origin)[axis]!;
    const [first, last] = [Math.ceil(here - reach - 1e-6), Math.floor(here + reach + 1e-6)];
    if (last >= first) {
      const offsets = Array.from({ length: Math.min(last - first + 1, MOST_LAYERS) }, (_, k) => (first + k - here) / rate);
      const drift = perMm.reduce((most, step, other) => (other === axis ? most : Math.max(most, Math.abs(step))), 0) * slab.thickness;
      return { axis, straight: drift < FLAT, first: Math.max(first, 0), last: Math.min(last, shape[axis]! - 1), offsets };
    }
  }
  // Two for each voxel, so that none is missed.
  const count = Math.min(Math.ceil(2 * reach * 2) + 1, MOST_LAYERS);
  return { axis, straight: false, first: 0, last: -1, offsets: Array.from({ length: count }, (_, k) => (k / Math.max(1, count - 1) - 0.5) * slab.thickness) };
}

/** Fills `values` with a slab; a step is one layer, or all where the slab runs straight through the voxels. */
export function* sampleSlab(grid: Grid, held: Held, raster: Raster, inverse: Inverse, sampling: Sampling, values: Int16Array): Generator<void> {
  const course = courseOf(sampling.slab, inverse, raster, grid.shape);
  if (course.straight) {
    const projected = project(grid.shape, held, course, sampling.slab.mode);
    const start = toIndex(inverse, raster.origin).map((at, axis) => (axis === course.axis ? 0 : at)) as unknown as Vec3;
    fill(projected.shape, projected.held, raster, inverse, start, sampling.linear, values);
    return;
  }
  yield* byLayers(grid, held, raster, inverse, sampling, course.offsets, values);
}

function* byLayers(grid: Grid, held: Held, raster: Raster, inverse: Inverse, sampling: Sampling, offsets: readonly number[], values: Int16Array): Generator<void> {
  const layer = new Int16Array(values.length);
  const gathered = new Gathered(sampling.slab.mode, values);
  const start = toIndex(inverse, raster.origin);
  for (const offset of offsets) {
    const away = stepToIndex(inverse, scale(rasterNormal(raster), offset));
    fill(grid.shape, held, raster, inverse, [start[0] + away[0], start[1] + away[1], start[2] + away[2]], sampling.linear, layer);
    gathered.add(layer);
    yield;
  }
  gathered.end();
}

/**
 * A slab as quickly as it can be had; whether that is the slab itself, as it is where it runs straight through the
 * voxels. Any other is of about `samples` of them, the nearest voxels, each drawn over its neighbours.
 */
export function quickSlab(grid: Grid, held: Held, raster: Raster, inverse: Inverse, sampling: Sampling, values: Int16Array, samples: number): boolean {
  const course = courseOf(sampling.slab, inverse, raster, grid.shape);
  if (course.straight) {
    for (const _ of sampleSlab(grid, held, raster, inverse, sampling, values));
    return true;
  }
  const step = Math.min(8, Math.max(1, Math.ceil(Math.sqrt((values.length * course.offsets.length) / samples / 2))));
  const small: Raster = { ...raster, width: Math.ceil(raster.width / step), height: Math.ceil(raster.height / step), across: scale(raster.across, step), down: scale(raster.down, step) };
  const found = new Int16Array(small.width * small.height);
  for (const _ of byLayers(grid, held, small, inverse, { ...sampling, linear: false }, step === 1 ? course.offsets : course.offsets.filter((__, k) => k % 2 === 0), found));
  for (let y = 0; y < raster.height; y++) {
    const from = Math.floor(y / step) * small.width;
    for (let x = 0; x < raster.width; x++) values[y * raster.width + x] = found[from + Math.floor(x / step)]!;
  }
  return false;
}

/** The layers of a slab together, as they come. */
class Gathered {
  private readonly sums: Float32Array | null;
  private readonly counts: Uint16Array | null;

  constructor(
    private readonly mode: SlabMode,
    private readonly values: Int16Array,
  ) {
    this.sums = mode === "mean" ? new Float32Array(values.length) : null;
    this.counts = mode === "mean" ? new Uint16Array(values.length) : null;
    values.fill(OUTSIDE);
  }

  /** The layer is as long as the values, and begins at `begin` of `from`. */
  add(from: Int16Array, begin = 0): void {
    const { values, sums, counts } = this;
    if (sums && counts) {
      for (let i = 0; i < values.length; i++) {
        const value = from[begin + i]!;
        if (value === OUTSIDE) continue;
        sums[i]! += value;
        counts[i]! += 1;
      }
    } else if (this.mode === "mip") largest(values, from, begin);
    else smallest(values, from, begin);
  }

  end(): void {
    const { values, sums, counts } = this;
    if (sums && counts) for (let i = 0; i < values.length; i++) values[i] = counts[i] ? Math.round(sums[i]! / counts[i]!) : OUTSIDE;
  }
}

// Without branches: which of two voxels is the larger nobody can foretell.
function largest(into: Int16Array, from: Int16Array, begin: number): void {
  for (let k = 0; k < into.length; k++) into[k] = Math.max(into[k]!, from[begin + k]!);
}

/** Compares values less one, as if unsigned: so `OUTSIDE` is the largest of all, and gives way to any. */
function smallest(into: Int16Array, from: Int16Array, begin: number): void {
  for (let k = 0; k < into.length; k++) into[k] = Math.min((into[k]! + 32767) & 0xffff, (from[begin + k]! + 32767) & 0xffff) - 32767;
}

/** The voxels of a straight slab projected along its axis: a volume of one layer. */
function project(shape: Vec3, held: Held, { axis, first, last }: Course, mode: SlabMode): { shape: Vec3; held: Held } {
  const [slices, rows, columns] = shape;
  if (axis === 0) {
    const layers = held.slice(first, last + 1).flatMap((slice) => (slice ? [slice] : []));
    const begins = layers.map(() => 0);
    return { shape: [1, rows, columns], held: [together(layers, begins, mode, new Int16Array(rows * columns))] };
  }
  if (axis === 2) return { shape: [slices, rows, 1], held: held.map((slice) => slice && alongColumns(slice, rows, columns, first, last, mode, new Int16Array(rows))) };
  const begins = Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => (first + k) * columns);
  return { shape: [slices, 1, columns], held: held.map((slice) => slice && together(begins.map(() => slice), begins, mode, new Int16Array(columns))) };
}

/** Stretches of voxels as long as `out`, each from its begin on, in one. */
function together(stretches: readonly Int16Array[], begins: readonly number[], mode: SlabMode, out: Int16Array): Int16Array {
  if (mode !== "mean" || !stretches.length) {
    const add = mode === "mip" ? largest : smallest;
    out.fill(OUTSIDE);
    stretches.forEach((stretch, k) => add(out, stretch, begins[k]!));
    return out;
  }
  const sums = new Int32Array(out.length);
  stretches.forEach((stretch, k) => addTo(sums, stretch, begins[k]!));
  for (let k = 0; k < out.length; k++) out[k] = Math.round(sums[k]! / stretches.length);
  return out;
}

function addTo(sums: Int32Array, from: Int16Array, begin: number): void {
  for (let k = 0; k < sums.length; k++) sums[k]! += from[begin + k]!;
}

/** Columns `first` … `last` of a slice in one. */
function alongColumns(slice: Int16Array, rows: number, columns: number, first: number, last: number, mode: SlabMode, out: Int16Array): Int16Array {
  for (let row = 0; row < rows; row++) {
    const [begin, end] = [row * columns + first, row * columns + last];
    if (mode === "mip") {
      let most = OUTSIDE;
      for (let at = begin; at <= end; at++) most = Math.max(most, slice[at]!);
      out[row] = most;
    } else if (mode === "minip") {
      let least = 0xffff;
      for (let at = begin; at <= end; at++) least = Math.min(least, (slice[at]! + 32767) & 0xffff);
      out[row] = least - 32767;
    } else out[row] = meanOf(slice, begin, end);
  }
  return out;
}

function meanOf(slice: Int16Array, begin: number, end: number): number {
  let sum = 0;
  for (let at = begin; at <= end; at++) sum += slice[at]!;
  return end < begin ? OUTSIDE : Math.round(sum / (end - begin + 1));
}
