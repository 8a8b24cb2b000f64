// The voxels whose centres lie in the ellipse that touches the four sides of a box, its edge included.

import { bounds, corners, measuringTool, type Membership, type Spot } from "../tool";

const STEPS = 72;

/** A box without area holds nothing. */
function contains(points: readonly Spot[]): Membership | null {
  if (points.length !== 2) return null;
  const box = bounds(points);
  const [down, across] = [(box.bottom - box.top) / 2, (box.right - box.left) / 2];
  const [row0, column0] = [(box.top + box.bottom) / 2, (box.left + box.right) / 2];
  if (down <= 0 || across <= 0) return () => false;
  return (row, column) => {
    const y = (row - row0) / down;
    const x = (column - column0) / across;
    return y * y + x * x <= 1;
  };
}

export const ellipse = measuringTool({
  name: "ellipse",
  words: ["Ellipse", "椭圆"],
  key: "e",
  icon: "M10 4.5c4.4 0 7.5 2.4 7.5 5.5s-3.100 5.500-7.500 5.500S2.500 13.100 2.500 10 5.600 4.500 10 4.500z",
  strokes: "line",
  outline: ([a, b]) => {
    if (!a || !b) return [];
    const [cx, cy] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
    const [rx, ry] = [Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2];
    return [Array.from({ length: STEPS + 1 }, (_, step) => ({ x: cx + rx * Math.cos((2 * Math.PI * step) / STEPS), y: cy + ry * Math.sin((2 * Math.PI * step) / STEPS) }))];
  },
  contains,
  columns: [],
  readings: () => [],
  figure: corners,
});
