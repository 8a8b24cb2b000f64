// The value of one voxel.

import { measuringTool } from "../tool";

export const probe = measuringTool({
  name: "probe",
  words: ["Probe", "单点"],
  key: "x",
  icon: "M10 7.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5M10 2v3M10 15v3M2 10h3M15 10h3",
  strokes: "point",
  outline: () => [],
  columns: [],
  readings: () => [],
  figure: (at) => [at],
});
