// Two lengths across each other: the longest diameter of a lesion and the one across it.

import { measuringTool } from "../tool";
import { lengthOf } from "./length";

export const bidirectional = measuringTool({
  name: "bidirectional",
  words: ["Two diameters", "双径"],
  key: "y",
  icon: "M3 10h14M10 4v12M3 8v4M17 8v4M8 4h4M8 16h4",
  strokes: "lines",
  outline: ([a, b, c, d]) => (a && b ? [[a, b], ...(c && d ? [[c, d]] : [])] : []),
  columns: ["length_mm", "across_mm"],
  readings: ({ points, lps }) => [
    ...lengthOf({ points: points.slice(0, 2), lps: lps.slice(0, 2) }, "length_mm"),
    ...lengthOf({ points: points.slice(2, 4), lps: lps.slice(2, 4) }, "across_mm"),
  ],
  figure: ({ x, y }, size) => [{ x: x - size, y }, { x: x + size, y }, { x, y: y - size / 2 }, { x, y: y + size / 2 }],
});
