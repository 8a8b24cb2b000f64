// The line of a measurement, as raster points: what is drawn is also what is grasped.

import type { Point } from "../volume/raster";

const STEPS = 72;

/** Along the outline, its first point again at its end where it is closed; a probe has none. */
export function outlineOf(kind: string, points: readonly Point[]): readonly Point[] {
  const [a, b] = points;
  if (!a || !b) return [];
  if (kind === "rectangle") return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }, a];
  if (kind === "freehand") return [...points, a];
  if (kind !== "ellipse") return points;
  const [cx, cy] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  const [rx, ry] = [Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2];
  return Array.from({ length: STEPS + 1 }, (_, step) => ({ x: cx + rx * Math.cos((2 * Math.PI * step) / STEPS), y: cy + ry * Math.sin((2 * Math.PI * step) / STEPS) }));
}

/** How far `at` is from a line through `points`; Infinity where there is none. */
export function distanceToLine(points: readonly Point[], at: Point): number {
  let least = Infinity;
  for (let k = 1; k < points.length; k++) {
    const [a, b] = [points[k - 1]!, points[k]!];
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const share = Math.max(0, Math.min(1, ((at.x - a.x) * dx + (at.y - a.y) * dy) / (dx * dx + dy * dy || 1)));
    least = Math.min(least, Math.hypot(a.x + share * dx - at.x, a.y + share * dy - at.y));
  }
  return least;
}
