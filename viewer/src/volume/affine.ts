// (slice, row, column) ↔ LPS mm by the 3×4 upper part of the series' affine; exact under tilt, like `Volume.lps`.

import { add, cross, dot, scale, subtract, type Vec3 } from "./vector";

/** Steps of one slice, one row, one column in LPS mm, and the centre of voxel (0, 0, 0). */
export interface Affine {
  readonly slice: Vec3;
  readonly row: Vec3;
  readonly column: Vec3;
  readonly origin: Vec3;
}

/** From four rows of four numbers whose columns are (slice, row, column, origin). */
export function affineFromRows(rows: readonly (readonly number[])[]): Affine {
  const column = (index: number): Vec3 => [rows[0]![index]!, rows[1]![index]!, rows[2]![index]!];
  return { slice: column(0), row: column(1), column: column(2), origin: column(3) };
}

export function toLps(affine: Affine, index: Vec3): Vec3 {
  return add(affine.origin, direction(affine, index));
}

/** A step in (slice, row, column) as a step in mm. */
export function direction(affine: Affine, step: Vec3): Vec3 {
  return add(add(scale(affine.slice, step[0]), scale(affine.row, step[1])), scale(affine.column, step[2]));
}

export interface Inverse {
  readonly slice: Vec3;
  readonly row: Vec3;
  readonly column: Vec3;
  readonly origin: Vec3;
}

/** The way back: each field is the covector that gives that index. Null when the steps do not span space. */
export function invert(affine: Affine): Inverse | null {
  const { slice, row, column } = affine;
  const volume = dot(slice, cross(row, column));
  if (!Number.isFinite(volume) || Math.abs(volume) < 1e-12) return null;
  return {
    slice: scale(cross(row, column), 1 / volume),
    row: scale(cross(column, slice), 1 / volume),
    column: scale(cross(slice, row), 1 / volume),
    origin: affine.origin,
  };
}

/** Fractional (slice, row, column) of a place in mm; may lie outside the volume. */
export function toIndex(inverse: Inverse, lps: Vec3): Vec3 {
  return stepToIndex(inverse, subtract(lps, inverse.origin));
}

export function stepToIndex(inverse: Inverse, step: Vec3): Vec3 {
  return [dot(inverse.slice, step), dot(inverse.row, step), dot(inverse.column, step)];
}
