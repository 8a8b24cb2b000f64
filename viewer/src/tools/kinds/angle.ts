// The angle at the second of three points, in the patient.

import { angle as between, subtract } from "../../volume/vector";
import { measuringTool } from "../tool";

export const angle = measuringTool({
  name: "angle",
  words: ["Angle", "角度"],
  key: "a",
  icon: "M16 16H4L13 4M9 9.5a6 6 0 0 1 3 6.5",
  strokes: "corner",
  outline: (points) => [points],
  columns: ["angle_degrees"],
  readings: ({ lps: [a, corner, b] }) => (a && b && corner ? [{ column: "angle_degrees", value: between(subtract(a, corner), subtract(b, corner)), unit: "°" }] : []),
  figure: ({ x, y }, size) => [{ x: x - size, y }, { x, y }, { x, y: y - size }],
});
