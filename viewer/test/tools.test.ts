import { expect, test } from "vitest";
import { commandOf, KEYS } from "../src/tools/bindings";
import { History } from "../src/tools/history";
import { areaMm2, fromJson, readings, toCsv, toJson, type Measurement } from "../src/tools/measurements";
import { MEASURING_TOOLS, TOOLS, toolOf } from "../src/tools/registry";
import { planeStatistics, statistics } from "../src/tools/statistics";
import { wheelNotches } from "../src/tools/wheel";
import { affineFromRows, invert, toLps } from "../src/volume/affine";
import { latticeValues, measuredPlane, sampleArea } from "../src/volume/lattice";
import { axes, planeRaster } from "../src/volume/planes";
import { chain } from "../src/ui/chain";
import { judge, someSlices } from "../src/ui/judgement";
import { CHINESE, say } from "../src/ui/reasons";
import { fill, WORDS } from "../src/ui/words";
import type { Physics } from "../src/wire/plausibility";
import { expected, grid, info, reasons, slices } from "./fixtures";

const [, rows, columns] = info.shape!;
const area = info.spacing![1] * info.spacing![2];

test("regions measure what hounsfield.ct.roi measures", () => {
  for (const { kind, points, statistics: theirs } of expected.regions) {
    const ours = statistics(kind, points, slices[3]!, rows, columns, area)!;
    for (const name of ["count", "minimum", "maximum"] as const) expect(ours[name]).toBe(theirs![name]);
    expect(ours.mean).toBeCloseTo(theirs!["mean"]!, 9);
    expect(ours.sd).toBeCloseTo(theirs!["sd"]!, 7);
    expect(ours.area).toBeCloseTo(theirs!["area_mm2"]!, 7);
  }
});

test("regions on planes measure what hounsfield.ct.roi measures", () => {
  const inverse = invert(grid.affine)!;
  expect(expected.planes.filter((each) => each.statistics).length).toBeGreaterThan(8);
  for (const { kind, points, plane, samples, statistics: theirs } of expected.planes) {
    const values = latticeValues(grid, inverse, (index) => slices[index], plane);
    const ours = planeStatistics(kind, points, values, sampleArea(plane));
    expect(ours?.count).toBe(theirs?.["count"]);
    if (!ours || !theirs) continue;
    for (const name of ["mean", "minimum", "maximum", "sd"] as const) expect(ours[name]).toBeCloseTo(theirs[name]!, 7);
    if (samples === "voxels") expect(ours.minimum).toBe(theirs["minimum"]);
    expect(ours.area).toBeCloseTo(theirs["area_mm2"]!, 6);
  }
});

test("a plane along the voxels is measured on them, any other on its own samples", () => {
  const inverse = invert(grid.affine)!;
  const through = toLps(grid.affine, [2.3, 8.2, 11.4]);
  const axial = measuredPlane(grid, inverse, planeRaster(grid, "axial", axes(grid.affine, "slices"), through));
  expect([axial.slice, axial.voxels]).toEqual([2, true]);
  // The stack leans: across it nothing runs along the voxels but sagittal planes, which the lean lies in.
  expect(measuredPlane(grid, inverse, planeRaster(grid, "coronal", axes(grid.affine, "slices"), through)).voxels).toBe(false);
  const upright = { affine: affineFromRows([[0, 0, 1.5, -10], [0, 2, 0, 5], [4, 0, 0, 0], [0, 0, 0, 1]]), shape: [6, 16, 24] as const };
  const coronal = measuredPlane(upright, invert(upright.affine)!, planeRaster(upright, "coronal", axes(upright.affine, "slices"), toLps(upright.affine, [2, 7.4, 3])));
  expect([coronal.slice, coronal.voxels]).toEqual([null, true]);
  expect(coronal.lattice).toEqual({ origin: [-10, 19, 20], across: [1.5, 0, 0], down: [-0, -0, -4] });
});

test("a region without a voxel has no numbers", () => {
  expect(statistics("rectangle", [[0.2, 0.2], [0.8, 0.8]], slices[0]!, rows, columns, 1)).toBeNull();
  expect(statistics("ellipse", [[3, 3], [9, 3]], slices[0]!, rows, columns, 1)).toBeNull();
});

const item: Measurement = {
  id: 1,
  kind: "length",
  label: '=cmd|"x"',
  study: "1.2",
  series: "1.2.3",
  instance: "1.2.3.4",
  slice: 3,
  plane: null,
  points: [[0, 0], [3, 4]],
  lps: [[0, 0, 0], [3, 4, 12]],
  unit: "HU",
  statistics: null,
  value: null,
};

test("lengths and angles are in the patient", () => {
  expect(readings(item)).toEqual([{ column: "length_mm", value: 13, unit: "mm" }]);
  const lps = [[1, 0, 0], [0, 0, 0], [0, 2, 0]] as const;
  expect(readings({ kind: "angle", points: [], lps })[0]!.value).toBeCloseTo(90, 12);
});

test("a Cobb angle is the sharp one, two diameters are two lengths", () => {
  const lps = [[0, 0, 0], [10, 0, 0], [10, 5, 0], [0, 15, 0]] as const;
  const points = lps.map(([x, y]) => [y, x] as const);
  expect(readings({ kind: "cobb", points, lps })[0]!.value).toBeCloseTo(45, 12);
  expect(readings({ kind: "cobb", points, lps: lps.slice(0, 2) })).toEqual([]);
  expect(readings({ kind: "bidirectional", points, lps }).map(({ column, value }) => [column, +value.toFixed(3)])).toEqual([["length_mm", 10], ["across_mm", 14.142]]);
  expect(readings({ kind: "bidirectional", points, lps: [] }).map(({ unit }) => unit)).toEqual(["px", "px"]);
});

test("every tool has names, a key of its own and a figure that is drawn and read", () => {
  expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(TOOLS.length);
  for (const tool of MEASURING_TOOLS) {
    expect(tool.words.every((word) => word.length > 0)).toBe(true);
    const points = tool.figure({ x: 50, y: 60 }, 10);
    expect(tool.outline(points).length > 0, tool.name).toBe(tool.strokes !== "point");
    const drawn = { points: points.map(({ x, y }) => [y, x] as const), lps: points.map(({ x, y }) => [x, y, 0] as const) };
    expect(tool.contains?.(drawn.points)?.(60, 50) ?? true, tool.name).toBe(true);
    expect(tool.readings(drawn).map(({ column }) => column)).toEqual(tool.columns);
    expect(toolOf(tool.name)).toBe(tool);
  }
});

test("what is exported is imported", () => {
  const [found] = fromJson(toJson([item]));
  expect(found).toMatchObject({ kind: "length", points: item.points, lps: item.lps, instance: "1.2.3.4", slice: 3 });
});

test("a plane is exported with its samples, and imported", () => {
  const plane = { origin: [1, 2, 3] as const, across: [0.5, 0, 0] as const, down: [0, 0, -2] as const, voxels: true };
  const across = { ...item, kind: "ellipse" as const, slice: null, instance: "", plane };
  expect(fromJson(toJson([across]))[0]).toMatchObject({ kind: "ellipse", slice: null, plane, points: item.points });
  expect(JSON.parse(toJson([across])).measurements[0].samples).toBe("voxels");
  expect(toCsv([across])).toContain(",voxels,1 2 3,0.5 0 0,0 0 -2\r\n");
  expect(toCsv([{ ...item, lps: [[-1, 2, 3], [0, 0, 0]] }])).toContain(",-1 2 3; 0 0 0,");
});

test("in CSV no label is a formula", () => {
  const line = toCsv([item]).split("\r\n")[1]!;
  expect(line.startsWith(`length,"'=cmd|""x""",1.2,1.2.3,1.2.3.4,3,HU,,13,,,`)).toBe(true);
});

test.each(["", "[]", "{}", '{"format":"hounsfield measurements","measurements":[{"kind":"length"}]}', '{"format":"hounsfield measurements","measurements":[null]}'])("a file of another kind is refused: %s", (text) => {
  expect(() => fromJson(text)).toThrow();
});

test("keys are what the help says, each once", () => {
  expect(new Set(KEYS.map(([key]) => key)).size).toBe(KEYS.length);
  const press = (key: string, more = {}) => commandOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...more });
  expect(press("r")).toBe("turnRight");
  expect(press("z", { ctrlKey: true })).toBe("undo");
  expect(press("z", { ctrlKey: true, shiftKey: true })).toBe("redo");
  expect(press("?", { shiftKey: true })).toBe("help");
  expect(press("5")).toBe("preset5");
  expect(press("€")).toBeUndefined();
  expect(press("r", { altKey: true })).toBeUndefined();
});

test("steps are undone and done again", () => {
  const history = new History<number>();
  history.push(1);
  history.push(2);
  expect(history.undo(3)).toBe(2);
  expect(history.redo(2)).toBe(3);
  expect(history.undo(3)).toBe(2);
  expect(history.undo(2)).toBe(1);
  expect(history.undo(1)).toBeUndefined();
});

test("no word is empty, and both languages fill the same blanks", () => {
  for (const key of Object.keys(WORDS.en) as (keyof typeof WORDS.en)[]) {
    expect(WORDS.en[key]).not.toBe("");
    expect(WORDS.zh[key]).not.toBe("");
    const blanks = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
    expect(blanks(WORDS.zh[key])).toEqual(blanks(WORDS.en[key]));
  }
  expect(fill("{n} of {m}", { n: 1, m: 2 })).toBe("1 of 2");
});

test("every reason of Python's is said in Chinese, with its values and without English", () => {
  for (const [key, english] of Object.entries(reasons)) {
    const chinese = CHINESE[key];
    expect(chinese, key).toBeDefined();
    const places = (sentence: string): string[] => [...sentence.matchAll(/\{(\w+)\}/g)].map((found) => found[1]!).sort();
    if (english) expect(places(chinese!), key).toEqual(places(english));
    expect(chinese!.replace(/\{\w+\}/g, "").match(/\b(?!(?:kV|keV|ms|CT|HU|HU_MOD|US|SOP|UID|DICOM|mm)\b)[A-Za-z]{2,}/g), key).toBeNull();
  }
  expect(Object.keys(CHINESE).sort()).toEqual(Object.keys(reasons).sort());
});

test("reasons are said in the page's language", () => {
  const told = { "tilted by 12.00°: …": { key: "tilted", values: { degrees: "12.00", step: "0, 0, 2" } } };
  expect(say("tilted by 12.00°: …", told, "zh")).toBe("倾斜 12.00°：每层相对前一层位移 (0, 0, 2) mm");
  expect(say("tilted by 12.00°: …", told, "en")).toBe("tilted by 12.00°: …");
  expect(say("something new", told, "zh")).toBe("something new");
  for (const sentence of [...info.warnings, ...info.notes]) expect(say(sentence, info.told, "zh")).not.toBe(sentence);
});

const physics: Physics = {
  verdict: "plausible",
  evidence: [{ key: "air", en: "air reads −1000 HU", zh: "空气为 −1000 HU" }],
  looksLike: null,
  air: -1000,
  tissue: 40,
  histogram: { first: -2048, step: 32, counts: [0, 3] },
};

test("the badge hears what the numbers say", () => {
  const done = { padded: 0, clamped: 0, saturated: 0, rounded: 0 };
  const good = { ...info, verdict: "regular", notes: [] };
  const of = (changes: Partial<Physics>, language: "en" | "zh" = "en") => judge(good, done, language, [], { ...physics, ...changes });
  expect(of({})).toEqual({ trust: "good", reasons: [] });
  expect(of({ verdict: "unknown" }).trust).toBe("good");
  const lost = { verdict: "implausible", looksLike: { key: "offset-lost", en: "as if the offset had been lost", zh: "似乎丢失了偏移量" } } as const;
  expect(of(lost)).toEqual({ trust: "bad", reasons: ["as if the offset had been lost"] });
  expect(of(lost, "zh").reasons).toEqual(["似乎丢失了偏移量"]);
  expect(of({ verdict: "unknown", evidence: [{ key: "cone-beam", en: "a cone beam", zh: "锥形束" }] })).toEqual({ trust: "care", reasons: ["a cone beam"] });
});

test("the badge judges", () => {
  const done = { padded: 0, clamped: 0, saturated: 0, rounded: 0 };
  expect(judge(info, done, "en").trust).toBe("care");
  expect(judge({ ...info, verdict: "regular", notes: [] }, done, "en")).toEqual({ trust: "good", reasons: [] });
  expect(judge({ ...info, verdict: "gaps" }, done, "en").trust).toBe("bad");
  expect(judge({ ...info, unit: "Z_EFF" }, done, "en").trust).toBe("bad");
  expect(judge(info, { ...done, saturated: 3 }, "en").trust).toBe("bad");
  expect(judge({ ...info, shape: null, slices: [] }, done, "zh").trust).toBe("picture");
});

test("the chain from stored value to HU", () => {
  const slope = { instance: "", frame: 1, slope: 1, intercept: -1024 };
  expect(chain(40, slope, "HU", false, WORDS.en)).toBe("40 HU = stored 1064 × 1 − 1024");
  expect(chain(-1024, slope, "HU", true, WORDS.en)).toContain("outside the field");
  expect(chain(7, { ...slope, slope: null, intercept: null }, "", false, WORDS.en)).toBe("7");
  expect(chain(-33, { ...slope, slope: 32.1, intercept: 0 }, "HU", false, WORDS.en)).toBe("−33 HU ≈ stored −1 × 32.1 + 0");
});

test("a notch of any wheel is one step, a trackpad's small turns add up", () => {
  for (const notch of [53, 100, 120, 150]) {
    const steps = wheelNotches();
    expect([notch, notch, notch, -notch].map(steps)).toEqual([1, 1, 1, -1]);
  }
  expect(wheelNotches()(600)).toBe(4);
  const trackpad = wheelNotches();
  expect([20, 20, 20, 20, 20, 20, -20].map(trackpad).map((n) => n + 0)).toEqual([0, 0, 1, 0, 0, 1, 0]);
});

test("what has no size in mm is told in pixels, and exported without an area", () => {
  const item: Measurement = { id: 1, kind: "length", label: "", study: "", series: "", instance: "", slice: 0, points: [[0, 0], [3, 4]], plane: null, lps: [], unit: "", statistics: null, value: null };
  expect(readings(item)).toEqual([{ column: null, value: 5, unit: "px" }]);
  expect(readings({ ...item, lps: [[0, 0, 0], [3, 4, 0]] })[0]!.unit).toBe("mm");
  const region: Measurement = { ...item, kind: "rectangle", statistics: { count: 20, mean: 1, sd: 0, minimum: 1, maximum: 1, area: 20 } };
  expect(areaMm2(region)).toBeNull();
  expect(JSON.parse(toJson([region])).measurements[0].statistics.area_mm2).toBeNull();
});

test("slices that could not be read are told by number, and nothing is trusted then", () => {
  const done = { padded: 0, clamped: 0, saturated: 0, rounded: 0 };
  const found = judge({ ...info, verdict: "regular", notes: [] }, done, "en", [6, 2]);
  expect(found).toEqual({ trust: "bad", reasons: ["Could not be read: slice 3, 7"] });
  expect(someSlices(Array.from({ length: 90 }, (_, k) => k))).toBe("1, 2, 3, 4, 5, 6 … (90)");
});
