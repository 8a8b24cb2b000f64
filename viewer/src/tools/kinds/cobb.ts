// The Cobb angle: the sharp one between two lines, such as the end plates of two vertebrae.

import { angle, subtract } from "../../volume/vector";
import { measuringTool } from "../tool";

export const cobb = measuringTool({
  name: "cobb",
  words: ["Cobb angle", "Cobb 角"],
  key: "u",
  icon: "M3 5.500 17 3M3 14l14 3.500M12 6v8",
  strokes: "lines",
  outline: ([a, b, c, d]) => (a && b ? [[a, b], ...(c && d ? [[c, d]] : [])] : []),
  columns: ["angle_degrees"],
  readings: ({ lps: [a, b, c, d] }) => {
    if (!a || !b || !c || !d) return [];
    const between = angle(subtract(b, a), subtract(d, c));
    return [{ column: "angle_degrees", value: Math.min(between, 180 - between), unit: "°" }];
  },
  figure: ({ x, y }, size) => [{ x: x - size, y: y - size }, { x: x + size, y: y - size * 1.25 }, { x: x - size, y: y + size }, { x: x + size, y: y + size * 1.25 }],
});
