// The voxels whose centres lie in a rectangle, its edge included.

import { bounds, corners, measuringTool } from "../tool";

export const rectangle = measuringTool({
  name: "rectangle",
  words: ["Rectangle", "矩形"],
  key: "t",
  icon: "M3 5h14v10H3z",
  strokes: "line",
  outline: ([a, b]) => (a && b ? [[a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }, a]] : []),
  contains: (points) => {
    if (points.length !== 2) return null;
    const box = bounds(points);
    return (row, column) => row >= box.top && row <= box.bottom && column >= box.left && column <= box.right;
  },
  columns: [],
  readings: () => [],
  figure: corners,
});
