// The voxels whose centres lie in a closed drawing, by the even–odd rule.

import { measuringTool, type Membership, type Spot } from "../tool";

function contains(points: readonly Spot[]): Membership | null {
  if (points.length < 3) return null;
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

export const freehand = measuringTool({
  name: "freehand",
  words: ["Freehand", "自由曲线"],
  key: "f",
  icon: "M4 13c-2-5 3-10 8-9s6 6 3 7-5-1-7 2-3 2-4 0z",
  strokes: "trail",
  outline: (points) => (points[1] ? [[...points, points[0]!]] : []),
  contains,
  columns: [],
  readings: () => [],
  figure: ({ x, y }, size) => Array.from({ length: 32 }, (_, k) => ({ x: x + size * Math.cos((k * Math.PI) / 16), y: y + size * Math.sin((k * Math.PI) / 16) })),
});
