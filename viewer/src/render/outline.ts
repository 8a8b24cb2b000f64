// How far a place is from a line that is drawn: what is drawn is also what is grasped.

import type { Point } from "../volume/raster";

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
