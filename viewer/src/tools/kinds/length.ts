// The distance between two points: mm, or pixels of a picture without a place in the patient.

import { distance } from "../../volume/vector";
import { measuringTool, type Drawn, type Reading } from "../tool";

/** From the first of two points to the second. */
export function lengthOf({ points: [p, q], lps }: Drawn, column: string): Reading[] {
  const [a, b] = lps;
  if (a && b) return [{ column, value: distance(a, b), unit: "mm" }];
  return !lps.length && p && q ? [{ column: null, value: Math.hypot(p[0] - q[0], p[1] - q[1]), unit: "px" }] : [];
}

export const length = measuringTool({
  name: "length",
  words: ["Length", "长度"],
  key: "d",
  icon: "M3 17 17 3M3 17l0-4M3 17l4 0M17 3h-4M17 3v4",
  strokes: "line",
  outline: (points) => [points],
  columns: ["length_mm"],
  readings: (drawn) => lengthOf(drawn, "length_mm"),
  figure: ({ x, y }, size) => [{ x: x - size, y }, { x: x + size, y }],
});
