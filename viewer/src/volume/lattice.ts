// The samples of a plane that regions are measured on: the voxels themselves where the plane runs along them, else the
// pixels of the plane as it is drawn, each interpolated linearly. The same rules as `hounsfield.ct.roi.planes`.

import { stepToIndex, toIndex, toLps, type Affine, type Inverse } from "./affine";
import type { Grid } from "./planes";
import type { Point, Raster } from "./raster";
import type { SliceAt } from "./sample";
import { add, cross, length, scale, type Vec3 } from "./vector";

/** LPS mm: the centre of sample (0, 0), the steps to the next column and to the next row. */
export interface Lattice {
  readonly origin: Vec3;
  readonly across: Vec3;
  readonly down: Vec3;
}

/** The lattice of a raster; `slice` where it is that slice's own voxels, `voxels` where it is voxels at all. */
export interface MeasuredPlane {
  readonly lattice: Lattice;
  readonly slice: number | null;
  readonly voxels: boolean;
}

/** Fraction of a voxel within which a sample is the voxel itself. */
const ON_VOXEL = 1e-6;
/** How far, in voxels, a raster may lean over its whole width and still run along the voxels. */
const LEAN = 1e-3;

export const sampleArea = (lattice: Lattice): number => length(cross(lattice.across, lattice.down));

export const latticeLps = (lattice: Lattice, at: Point): Vec3 => add(lattice.origin, add(scale(lattice.across, at.x), scale(lattice.down, at.y)));

/** What regions drawn on `raster` are measured on. */
export function measuredPlane(grid: Grid, inverse: Inverse, raster: Raster): MeasuredPlane {
  const across = alongAxis(stepToIndex(inverse, raster.across), raster.width);
  const down = alongAxis(stepToIndex(inverse, raster.down), raster.height);
  if (!across || !down || across.axis === down.axis) return { lattice: raster, slice: null, voxels: false };
  const layer = 3 - across.axis - down.axis;
  const first: [number, number, number] = [0, 0, 0];
  first[layer] = Math.max(0, Math.min(grid.shape[layer]! - 1, Math.floor(toIndex(inverse, raster.origin)[layer]! + 0.5)));
  for (const { axis, sign } of [across, down]) first[axis] = sign > 0 ? 0 : grid.shape[axis]! - 1;
  const lattice = { origin: toLps(grid.affine, first), across: scale(stepOf(grid.affine, across.axis), across.sign), down: scale(stepOf(grid.affine, down.axis), down.sign) };
  return { lattice, slice: layer === 0 ? first[0] : null, voxels: true };
}

const stepOf = (affine: Affine, axis: number): Vec3 => [affine.slice, affine.row, affine.column][axis]!;

/** The one axis of the voxels that a step runs along; null where it leans off it over `count` steps. */
function alongAxis(step: Vec3, count: number): { axis: number; sign: number } | null {
  const axis = [0, 1, 2].reduce((best, each) => (Math.abs(step[each]!) > Math.abs(step[best]!) ? each : best), 0);
  const aside = [0, 1, 2].filter((each) => each !== axis).map((each) => Math.abs(step[each]!) * count);
  return Math.max(...aside) < LEAN ? { axis, sign: Math.sign(step[axis]!) } : null;
}

/** The value at a place of a lattice; null outside the volume, undefined while a slice is on its way. */
export type LatticeValues = (row: number, column: number) => number | null | undefined;

export function latticeValues(grid: Grid, inverse: Inverse, slices: SliceAt, lattice: Lattice): LatticeValues {
  const start = toIndex(inverse, lattice.origin);
  const across = stepToIndex(inverse, lattice.across);
  const down = stepToIndex(inverse, lattice.down);
  return (row, column) => {
    const at: [number, number, number] = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      const exact = start[axis]! + row * down[axis]! + column * across[axis]!;
      const near = Math.round(exact);
      const index = Math.abs(exact - near) < ON_VOXEL ? near : exact;
      const last = grid.shape[axis]! - 1;
      // Half a voxel beyond the outermost centres still belongs to the volume.
      if (index < -0.5 || index >= last + 0.5) return null;
      at[axis] = Math.min(Math.max(index, 0), last);
    }
    return interpolated(grid.shape, slices, at);
  };
}

function interpolated(shape: Vec3, slices: SliceAt, at: Vec3): number | undefined {
  const [, rows, columns] = shape;
  const low = [Math.floor(at[0]), Math.floor(at[1]), Math.floor(at[2])] as const;
  const part = [at[0] - low[0], at[1] - low[1], at[2] - low[2]] as const;
  const under = Math.min(low[1] + 1, rows - 1);
  const right = Math.min(low[2] + 1, columns - 1);
  let value = 0;
  for (let above = 0; above < (part[0] > 0 ? 2 : 1); above++) {
    const slice = slices(low[0] + above);
    if (!slice) return undefined;
    const top = slice[low[1] * columns + low[2]]! * (1 - part[2]) + slice[low[1] * columns + right]! * part[2];
    const bottom = slice[under * columns + low[2]]! * (1 - part[2]) + slice[under * columns + right]! * part[2];
    value += (top * (1 - part[1]) + bottom * part[1]) * (above ? part[0] : 1 - part[0]);
  }
  return value;
}
