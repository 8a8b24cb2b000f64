import { expect, test } from "vitest";
import { actualSize, flipped, fitScale, poseMatrix, toPane, toRaster, turned, UPRIGHT, zoomAbout, type Pose } from "../src/render/pose";
import { scaleBar } from "../src/render/scale_bar";
import { automaticWindow, grey, palette } from "../src/render/window";
import type { Raster } from "../src/volume/raster";
import { OUTSIDE } from "../src/volume/sample";
import { expected } from "./fixtures";

const RASTER: Raster = { width: 100, height: 60, origin: [0, 0, 0], across: [0.5, 0, 0], down: [0, 1.5, 0], placed: true };
const PANE = { width: 640, height: 480 };
const POSES: readonly Pose[] = [UPRIGHT, { zoom: 3, x: 20, y: -7, turn: 33, flip: true }, { zoom: 0.5, x: -100, y: 4, turn: 270, flip: false }];

test("greys are Python's, value by value", () => {
  for (const { center, width, values, greys } of expected.greys) expect(values.map((value) => grey(value, { center, width }))).toEqual(greys);
});

test("the palette says the same, inverted too, and marks a threshold", () => {
  const window = { center: 40, width: 400 };
  const look = { window, invert: false, colours: "grey", threshold: null } as const;
  const red = (colours: Uint32Array, value: number): number => colours[value & 0xffff]! & 255;
  expect(red(palette(look, false), 100)).toBe(grey(100, window));
  expect(red(palette({ ...look, invert: true }, false), 100)).toBe(255 - grey(100, window));
  const marked = palette({ ...look, threshold: { low: 100, high: 200 } }, false);
  expect(marked[150]).not.toBe(marked[99]);
  expect(palette(look, true)[OUTSIDE & 0xffff]! >>> 24).toBe(0);
});

test.each(POSES)("a pose leads there and back %o", (pose) => {
  const matrix = poseMatrix(pose, RASTER, PANE);
  const back = toRaster(matrix, toPane(matrix, { x: 12.5, y: 33 }));
  expect(back.x).toBeCloseTo(12.5, 9);
  expect(back.y).toBeCloseTo(33, 9);
});

test("millimetres are as long across as down", () => {
  const matrix = poseMatrix(POSES[1]!, RASTER, PANE);
  expect(Math.hypot(matrix.a, matrix.b) / 0.5).toBeCloseTo(Math.hypot(matrix.c, matrix.d) / 1.5, 9);
});

test("what is under the pointer stays there while it zooms", () => {
  const at = { x: 100, y: 300 };
  const before = toRaster(poseMatrix(POSES[1]!, RASTER, PANE), at);
  const after = toRaster(poseMatrix(zoomAbout(POSES[1]!, PANE, at, 1.7), RASTER, PANE), at);
  expect(after.x).toBeCloseTo(before.x, 9);
  expect(after.y).toBeCloseTo(before.y, 9);
});

test("a flip mirrors the screen, however the picture was turned", () => {
  for (const pose of [UPRIGHT, turned(UPRIGHT, 90), turned(UPRIGHT, 33)])
    for (const horizontally of [true, false]) {
      const at = { x: 30, y: 12 };
      const before = toPane(poseMatrix(pose, RASTER, PANE), at);
      const after = toPane(poseMatrix(flipped(pose, horizontally), RASTER, PANE), at);
      expect(after.x).toBeCloseTo(horizontally ? PANE.width - before.x : before.x, 6);
      expect(after.y).toBeCloseTo(horizontally ? before.y : PANE.height - before.y, 6);
    }
});

test("one to one is one raster pixel for one of the screen", () => {
  const pose = actualSize(UPRIGHT, RASTER, PANE, 2);
  const matrix = poseMatrix(pose, RASTER, PANE);
  expect(Math.max(Math.hypot(matrix.a, matrix.b), Math.hypot(matrix.c, matrix.d)) * 2).toBeCloseTo(1, 9);
  expect(fitScale(RASTER, PANE, 0)).toBeGreaterThan(0);
});

test("a scale bar is a round length that fits", () => {
  expect(scaleBar(2, 140)).toMatchObject({ mm: 50, text: "5 cm" });
  expect(scaleBar(40, 140)).toMatchObject({ mm: 2, text: "2 mm" });
});

test("a window for values of unknown kind shows most of them", () => {
  const values = Int16Array.from({ length: 1000 }, (_, k) => k);
  const window = automaticWindow(values);
  expect(window.center).toBeGreaterThan(450);
  expect(window.width).toBeGreaterThan(900);
});
