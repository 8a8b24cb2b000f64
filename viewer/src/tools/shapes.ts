// The voxels of a slice that a region holds: those whose centre lies in it. The same rules as `hounsfield.ct.roi`.

import { toolOf, type Kind } from "./registry";
import { bounds, type Box, type Spot } from "./tool";

/** In the box of one region; a plane that is shown has less than a million. */
const MOST_PLACES = 16_000_000;

/** Calls `each` with every whole-numbered place inside that lies in `limits`. */
export function forEachInside(kind: Kind, points: readonly Spot[], limits: Box, each: (row: number, column: number) => void): void {
  const contains = toolOf(kind).contains?.(points);
  if (!contains) return;
  const box = bounds(points);
  const [firstRow, lastRow] = [Math.max(limits.top, Math.ceil(box.top)), Math.min(limits.bottom, Math.floor(box.bottom))];
  const [firstColumn, lastColumn] = [Math.max(limits.left, Math.ceil(box.left)), Math.min(limits.right, Math.floor(box.right))];
  if ((lastRow - firstRow + 1) * (lastColumn - firstColumn + 1) > MOST_PLACES) return;
  for (let row = firstRow; row <= lastRow; row++) for (let column = firstColumn; column <= lastColumn; column++) if (contains(row, column)) each(row, column);
}

export const ANYWHERE: Box = { top: -Infinity, left: -Infinity, bottom: Infinity, right: Infinity };
