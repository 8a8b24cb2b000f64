import { describe, expect, test, vi } from "vitest";
import { invert, toIndex, toLps } from "../src/volume/affine";
import { ValueCounts } from "../src/volume/histogram";
import { outwards } from "../src/volume/order";
import { axes, centreOf, isUpright, planeNormal, planeRaster, PLANES, sliceRaster, stepThrough, turnedAxes, type Grid, type PlaneName } from "../src/volume/planes";
import { directionLetters, distanceToRaster, rasterLps, rasterPoint } from "../src/volume/raster";
import { OUTSIDE } from "../src/volume/sample";
import { quickSlab, samplePlane } from "../src/volume/slab";
import type { SlabMode } from "../src/volume/sample";
import { Slices, type Stream } from "../src/volume/slices";
import { angle, compose, distance, dot, length, rotated, scale, type Vec3 } from "../src/volume/vector";
import { expected, grid, info, slices } from "./fixtures";

const THIN = { linear: true, slab: { mode: "mip", thickness: 0 } } as const;

test("places are Python's, there and back", () => {
  const inverse = invert(grid.affine)!;
  for (const { index, lps } of expected.places) {
    expect(distance(toLps(grid.affine, index), lps)).toBeLessThan(1e-9);
    toIndex(inverse, lps).forEach((at, axis) => expect(at).toBeCloseTo(index[axis]!, 9));
  }
});

test("values between voxels are Python's trilinear ones", () => {
  for (const { lps, value } of expected.places) {
    const raster = { width: 1, height: 1, origin: lps, across: grid.affine.column, down: grid.affine.row, placed: true };
    expect(Math.abs(samplePlane(grid, (k) => slices[k], raster, THIN)[0]! - value)).toBeLessThanOrEqual(0.5 + 1e-6);
  }
});

test("a slice's own raster samples to the slice itself", () => {
  const raster = sliceRaster(grid.affine, grid.shape, 4);
  expect(samplePlane(grid, (k) => slices[k], raster, THIN)).toEqual(slices[4]);
});

test("where a slice has not come yet nothing is drawn", () => {
  const raster = sliceRaster(grid.affine, grid.shape, 4);
  expect(new Set(samplePlane(grid, () => undefined, raster, THIN))).toEqual(new Set([OUTSIDE]));
});

test("the slices' directions are at right angles even where the gantry was tilted", () => {
  expect(isUpright(grid.affine)).toBe(false);
  const { left, back, head } = axes(grid.affine, "slices");
  for (const [a, b] of [[left, back], [back, head], [left, head]] as const) expect(dot(a, b)).toBeCloseTo(0, 12);
  for (const axis of [left, back, head]) expect(length(axis)).toBeCloseTo(1, 12);
  expect(left[0]).toBeGreaterThan(0.9);
  expect(head[2]).toBeGreaterThan(0.9);
});

test.each(PLANES)("the %s plane goes through the place asked for and covers the volume", (name) => {
  for (const frame of ["slices", "patient"] as const) {
    const through = centreOf(grid);
    const raster = planeRaster(grid, name, axes(grid.affine, frame), through);
    expect(distanceToRaster(raster, through)).toBeLessThan(1e-9);
    const at = rasterPoint(raster, through);
    expect(at.x).toBeGreaterThan(0);
    expect(at.y).toBeLessThan(raster.height);
    expect(distance(rasterLps(raster, at), through)).toBeLessThan(1e-9);
  }
});

test("scrolling a plane stays in the volume", () => {
  let place = centreOf(grid);
  for (let k = 0; k < 100; k++) place = stepThrough(grid, "axial", axes(grid.affine, "slices"), place, 1);
  const index = toIndex(invert(grid.affine)!, place);
  expect(index[0]).toBeGreaterThan(-1);
  expect(index[0]).toBeLessThan(6);
});

test("a slab's maximum, minimum and mean go through the voxels' centres", () => {
  const raster = sliceRaster(grid.affine, grid.shape, 2);
  const thickness = 2 * info.spacing![0] * 1.01;
  const upright = { ...grid, affine: { ...grid.affine, slice: [0, -Math.sin((12 * Math.PI) / 180) * info.spacing![0], Math.cos((12 * Math.PI) / 180) * info.spacing![0]] as const } };
  const at = (mode: "mip" | "minip" | "mean") => samplePlane(upright, (k) => slices[k], raster, { linear: false, slab: { mode, thickness } });
  const pixel = 8 * 24 + 12;
  const found = [1, 2, 3].map((k) => slices[k]![pixel]!);
  // The slab lies across slices 1, 2 and 3; which is up depends on the normal's sign, so the set is compared.
  const mip = at("mip")[pixel]!;
  expect(Math.max(...found)).toBe(mip);
  expect(Math.min(...found)).toBe(at("minip")[pixel]!);
  expect(Math.abs(found.reduce((a, b) => a + b) / 3 - at("mean")[pixel]!)).toBeLessThanOrEqual(0.5);
});

describe("slabs", () => {
  const block: Grid = { affine: { slice: [0, 0, 2], row: [0, 1, 0], column: [1, 0, 0], origin: [0, 0, 0] }, shape: [7, 9, 11] };
  const value = (k: number, r: number, c: number): number => ((k * 37 + r * 91 + c * 53) % 211) - 90;
  const held = Array.from({ length: 7 }, (_, k) => Int16Array.from({ length: 99 }, (__, at) => value(k, Math.floor(at / 11), at % 11)));
  const thickness = 4.2;
  const cut = (name: PlaneName, mode: SlabMode) => {
    const raster = planeRaster(block, name, axes(block.affine, "patient"), [5, 4, 6]);
    const values = samplePlane(block, (k) => held[k], raster, { linear: false, slab: { mode, thickness } });
    return (x: number, y: number): number => values[y * raster.width + x]!;
  };
  const together = (mode: SlabMode, all: readonly number[]): number => (mode === "mip" ? Math.max(...all) : mode === "minip" ? Math.min(...all) : Math.round(all.reduce((a, b) => a + b) / all.length));

  test.each(["mip", "minip", "mean"] as const)("straight through the voxels are those of the voxels: %s", (mode) => {
    // 4.2 mm hold the slices 2 … 4, the rows 2 … 6, the columns 3 … 7.
    expect(cut("axial", mode)(3, 8)).toBe(together(mode, [2, 3, 4].map((k) => value(k, 8, 3))));
    expect(cut("coronal", mode)(3, 12 - 2 * 5)).toBe(together(mode, [2, 3, 4, 5, 6].map((r) => value(5, r, 3))));
    expect(cut("sagittal", mode)(8, 12 - 2 * 1)).toBe(together(mode, [3, 4, 5, 6, 7].map((c) => value(1, 8, c))));
  });

  test("that are slanted come quickly first, within the same voxels", () => {
    const turned = turnedAxes(axes(block.affine, "patient"), [0, 0, 30]);
    const raster = planeRaster(block, "coronal", turned, [5, 4, 6]);
    const sampling = { linear: false, slab: { mode: "mip", thickness } } as const;
    const quick = new Int16Array(raster.width * raster.height);
    expect(quickSlab(block, held, raster, invert(block.affine)!, sampling, quick, 1e9)).toBe(false);
    expect(quick).toEqual(samplePlane(block, (k) => held[k], raster, sampling));
  });
});

describe("turned planes", () => {
  const straight = axes(grid.affine, "patient");

  test("one rotation after another is both", () => {
    const [a, b]: [Vec3, Vec3] = [[20, -35, 10], [5, 50, -70]];
    const place: Vec3 = [3, 7, -2];
    const both = rotated(rotated(place, a), b);
    rotated(place, compose(a, b)).forEach((mm, axis) => expect(mm).toBeCloseTo(both[axis]!, 9));
    expect(compose(a, [-20, 35, -10]).every((part) => Math.abs(part) < 1e-9)).toBe(true);
  });

  test("about the axial normal leave the axial picture as it is and turn the others", () => {
    const turned = turnedAxes(straight, scale(planeNormal("axial", straight), 25));
    const [before, after] = [straight, turned].map((each) => planeRaster(grid, "axial", each, [0, 0, 0]));
    expect(after!.across).toEqual(before!.across.map((part) => expect.closeTo(part, 9)));
    expect(angle(planeNormal("coronal", turned), planeNormal("coronal", straight))).toBeCloseTo(25, 6);
    expect(angle(planeNormal("sagittal", turned), planeNormal("coronal", turned))).toBeCloseTo(90, 6);
  });

  test("go through the place they are turned about, at right angles in themselves", () => {
    const turned = turnedAxes(straight, [20, -35, 10]);
    const place = centreOf(grid);
    for (const name of PLANES) {
      const raster = planeRaster(grid, name, turned, place);
      expect(distanceToRaster(raster, place)).toBeLessThan(1e-9);
      expect(angle(raster.across, raster.down)).toBeCloseTo(90, 6);
    }
  });
});

test("letters of direction", () => {
  expect(directionLetters([1, 0, 0])).toBe("L");
  expect(directionLetters([0, -5, 0])).toBe("A");
  expect(directionLetters([0, 0.3, 0.9])).toBe("HP");
});

describe("slices", () => {
  test("the one looked at first, then its neighbours", () => {
    expect(outwards(6, 2)).toEqual([2, 3, 1, 4, 0, 5]);
    expect(outwards(1, 9)).toEqual([0]);
    expect(outwards(0, 0)).toEqual([]);
  });

  test("come middle first, all of them, and are told", async () => {
    const asked: number[] = [];
    const held = new Slices(9, 2, async (k) => (asked.push(k), Int16Array.of(k)));
    await vi.waitFor(() => expect(held.complete).toBe(true));
    expect(asked.slice(0, 3)).toEqual([4, 5, 3]);
    expect(held.get(8)![0]).toBe(8);
  });

  test("a cache with a limit keeps what is near", async () => {
    const held = new Slices(100, 10, async (k) => Int16Array.of(k), 50, 100);
    await vi.waitFor(() => expect(held.progress.held).toBe(10));
    held.look(90);
    await vi.waitFor(() => expect(held.get(94)).toBeDefined());
    expect(held.get(50)).toBeUndefined();
    expect(held.progress.held).toBeLessThanOrEqual(10);
  });

  test("what fails is tried twice, told, and tried again when asked", async () => {
    let broken = true;
    let tries = 0;
    const held = new Slices(3, 2, async (k) => {
      if (k === 1 && broken) throw (tries++, new Error("lost"));
      return Int16Array.of(k);
    });
    await vi.waitFor(() => expect(held.progress.failed.size).toBe(1));
    expect(tries).toBe(2);
    broken = false;
    held.retry();
    await vi.waitFor(() => expect(held.complete).toBe(true));
    expect(held.progress.failed.size).toBe(0);
  });
});

describe("many slices in one answer", () => {
  const one = async (k: number): Promise<Int16Array> => Int16Array.of(k);

  test("after the first, all come in it, from the one looked at, and are told one by one", async () => {
    const asked: number[] = [];
    const told: number[] = [];
    const streams: number[][] = [];
    const stream: Stream = async (from, most, take) => {
      streams.push([from, most]);
      for (const k of outwards(9, from)) take(k, Int16Array.of(10 * k));
    };
    const held = new Slices(9, 2, (k) => (asked.push(k), one(k)), 4, 1000, stream);
    held.subscribe((k) => told.push(k));
    await vi.waitFor(() => expect(held.complete).toBe(true));
    expect([asked, streams]).toEqual([[4], [[4, 9]]]);
    expect([held.get(4)![0], held.get(8)![0]]).toEqual([4, 80]);
    expect(told.slice(0, 3)).toEqual([5, 3, 6]);
  });

  test("what it does not bring is fetched one by one, and what fails in it is tried once more", async () => {
    const asked: number[] = [];
    const stream: Stream = async (_from, _most, take) => {
      take(3, Int16Array.of(3));
      take(5, new Error("damaged"));
      throw new Error("cut off");
    };
    const held = new Slices(9, 2, (k) => (asked.push(k), one(k)), 4, 1000, stream);
    await vi.waitFor(() => expect(held.complete).toBe(true));
    expect(asked.sort()).toEqual([0, 1, 2, 4, 5, 6, 7, 8]);
  });

  test("the slice somebody goes to meanwhile does not wait for it", async () => {
    const asked: number[] = [];
    const held = new Slices(99, 2, (k) => (asked.push(k), one(k)), 4, 1000, () => new Promise(() => undefined));
    await vi.waitFor(() => expect(held.progress.held).toBe(1));
    held.look(80);
    await vi.waitFor(() => expect(held.get(80)).toBeDefined());
    expect(asked).toEqual([4, 80]);
  });
});

test("the slice somebody goes to does not wait for those on their way, nor does anything exceed the limit", async () => {
  const asked: number[] = [];
  const answers = new Map<number, (values: Int16Array) => void>();
  const held = new Slices(1500, 10, (k) => (asked.push(k), new Promise((resolve) => answers.set(k, resolve))), 750, 1000);
  const answer = async (k: number): Promise<void> => {
    answers.get(k)!(Int16Array.of(k));
    await new Promise((done) => setTimeout(done));
  };
  // The first has the line to itself; then five are on their way.
  expect(asked).toEqual([750]);
  await answer(750);
  expect(asked).toEqual([750, 751, 749, 752, 748, 753]);
  held.look(1400);
  expect(asked.at(-1)).toBe(1400);
  held.look(20);
  expect(asked.at(-1)).toBe(20);
  await answer(20);
  expect(held.get(20)).toEqual(Int16Array.of(20));
  for (let k = 0; k < asked.length; k++) await answer(asked[k]!);
  expect(held.capacity).toBe(100);
  expect(held.progress.held).toBeLessThanOrEqual(100);
  expect(held.get(20)).toBeDefined();
  expect(held.get(750)).toBeUndefined();
  held.close();
});

test("value counts and what lies between two of them", () => {
  const counts = new ValueCounts();
  expect(counts.add(0, Int16Array.of(-5, 0, 0, 7, 100))).toBe(true);
  expect(counts.add(0, Int16Array.of(1))).toBe(false);
  expect(counts.range).toEqual([-5, 100]);
  expect(counts.between(0, 7)).toBe(3);
  expect(counts.between(-32768, 32767)).toBe(5);
  const histogram = counts.histogram(10);
  expect(histogram.counts.reduce((a, b) => a + b)).toBe(5);
});
