// Which voxels of a slice a region holds: those whose centre lies in it. The same rules as `hounsfield.ct.roi`.

/** (row, column), fractional, voxel centres at whole numbers. */
export type Spot = readonly [number, number];

export type Kind = "probe" | "length" | "angle" | "rectangle" | "ellipse" | "freehand";
export const REGIONS: readonly Kind[] = ["rectangle", "ellipse", "freehand"];

export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export function bounds(points: readonly Spot[]): Box {
  const rows = points.map((point) => point[0]);
  const columns = points.map((point) => point[1]);
  return { top: Math.min(...rows), left: Math.min(...columns), bottom: Math.max(...rows), right: Math.max(...columns) };
}

/** In the box of one region; a plane that is shown has less than a million. */
const MOST_PLACES = 16_000_000;

/** Calls `each` with every whole-numbered place inside that lies in `limits`. */
export function forEachInside(kind: Kind, points: readonly Spot[], limits: Box, each: (row: number, column: number) => void): void {
  const contains = membership(kind, points);
  if (!contains) return;
  const box = bounds(points);
  const [firstRow, lastRow] = [Math.max(limits.top, Math.ceil(box.top)), Math.min(limits.bottom, Math.floor(box.bottom))];
  const [firstColumn, lastColumn] = [Math.max(limits.left, Math.ceil(box.left)), Math.min(limits.right, Math.floor(box.right))];
  if ((lastRow - firstRow + 1) * (lastColumn - firstColumn + 1) > MOST_PLACES) return;
  for (let row = firstRow; row <= lastRow; row++) for (let column = firstColumn; column <= lastColumn; column++) if (contains(row, column)) each(row, column);
}

export const ANYWHERE: Box = { top: -Infinity, left: -Infinity, bottom: Infinity, right: Infinity };

function membership(kind: Kind, points: readonly Spot[]): ((row: number, column: number) => boolean) | null {
  if (kind === "rectangle" && points.length === 2) return () => true;
  if (kind === "ellipse" && points.length === 2) return inEllipse(bounds(points));
  if (kind === "freehand" && points.length >= 3) return inPolygon(points);
  return null;
}

/** The ellipse that touches the four sides of the box, its edge included; a box without area holds nothing. */
function inEllipse(box: Box): (row: number, column: number) => boolean {
  const [down, across] = [(box.bottom - box.top) / 2, (box.right - box.left) / 2];
  const [row0, column0] = [(box.top + box.bottom) / 2, (box.left + box.right) / 2];
  if (down <= 0 || across <= 0) return () => false;
  return (row, column) => {
    const y = (row - row0) / down;
    const x = (column - column0) / across;
    return y * y + x * x <= 1;
  };
}

/** Even–odd rule of the closed polygon. */
function inPolygon(points: readonly Spot[]): (row: number, column: number) => boolean {
  return (row, column) => {
    let inside = false;
    for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
      const [r1, c1] = points[i]!;
      const [r2, c2] = points[j]!;
      if (r1 > row !== r2 > row && column < ((c2 - c1) * (row - r1)) / (r2 - r1) + c1) inside = !inside;
    }
    return inside;
  };
}
