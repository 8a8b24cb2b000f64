// Numbers of the voxels in a region: the same definitions as `hounsfield.roi`, so the same numbers.

import { forEachInside, type Kind, type Spot } from "./shapes";

export interface Statistics {
  readonly count: number;
  readonly mean: number;
  /** Of the voxels themselves (divided by their number, not one less). */
  readonly sd: number;
  readonly minimum: number;
  readonly maximum: number;
  /** Number of voxels × area of one, mm². */
  readonly area: number;
}

/** Null when no voxel centre lies inside. `pixelArea` in mm². */
export function statistics(kind: Kind, points: readonly Spot[], values: Int16Array, rows: number, columns: number, pixelArea: number): Statistics | null {
  let [count, sum, squares, minimum, maximum] = [0, 0, 0, 32767, -32768];
  forEachInside(kind, points, rows, columns, (index) => {
    const value = values[index]!;
    count += 1;
    sum += value;
    squares += value * value;
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  });
  if (!count) return null;
  // Whole numbers below 2^53 throughout: exact until the division.
  const mean = sum / count;
  const sd = Math.sqrt(Math.max(0, (squares - sum * mean) / count));
  return { count, mean, sd, minimum, maximum, area: count * pixelArea };
}
