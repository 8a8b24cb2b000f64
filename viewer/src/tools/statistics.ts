// Numbers of the voxels in a region: the same definitions as `hounsfield.ct.roi`, so the same numbers.

import type { LatticeValues } from "../volume/lattice";
import type { Kind } from "./registry";
import { ANYWHERE, forEachInside } from "./shapes";
import type { Spot } from "./tool";

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

class Sums {
  private count = 0;
  private sum = 0;
  private squares = 0;
  private minimum = Infinity;
  private maximum = -Infinity;

  add(value: number): void {
    this.count += 1;
    this.sum += value;
    this.squares += value * value;
    if (value < this.minimum) this.minimum = value;
    if (value > this.maximum) this.maximum = value;
  }

  /** Of whole numbers exact until the division: all stays below 2^53. */
  result(area: number): Statistics | null {
    const { count, sum, squares, minimum, maximum } = this;
    if (!count) return null;
    const mean = sum / count;
    return { count, mean, sd: Math.sqrt(Math.max(0, (squares - sum * mean) / count)), minimum, maximum, area: count * area };
  }
}

/** Of a slice's own voxels; null when no voxel centre lies inside. `pixelArea` in mm². */
export function statistics(kind: Kind, points: readonly Spot[], values: Int16Array, rows: number, columns: number, pixelArea: number): Statistics | null {
  const sums = new Sums();
  forEachInside(kind, points, { top: 0, left: 0, bottom: rows - 1, right: columns - 1 }, (row, column) => sums.add(values[row * columns + column]!));
  return sums.result(pixelArea);
}

/** Of the samples of a plane; null also while a slice that is needed is on its way. */
export function planeStatistics(kind: Kind, points: readonly Spot[], valueAt: LatticeValues, area: number): Statistics | null {
  const sums = new Sums();
  let waiting = false;
  forEachInside(kind, points, ANYWHERE, (row, column) => {
    if (waiting) return;
    const value = valueAt(row, column);
    if (value === undefined) waiting = true;
    else if (value !== null) sums.add(value);
  });
  return waiting ? null : sums.result(area);
}
