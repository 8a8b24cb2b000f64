// A raster: pixels on a plane in the patient. A slice is one, a reformatted plane is one; all that is drawn over
// either (cursor, letters, scale bar, crosshair, measurements) needs no more than this.

import { add, cross, dot, length, scale, subtract, unit, type Vec3 } from "./vector";

export interface Raster {
  readonly width: number;
  readonly height: number;
  /** LPS mm of the centre of pixel (0, 0). */
  readonly origin: Vec3;
  /** LPS mm from a pixel to its right neighbour, and to the one below. */
  readonly across: Vec3;
  readonly down: Vec3;
  /** False for pictures without a place in the patient: lengths are then pixels. */
  readonly placed: boolean;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export function rasterLps(raster: Raster, at: Point): Vec3 {
  return add(raster.origin, add(scale(raster.across, at.x), scale(raster.down, at.y)));
}

/** Pixel coordinates (centres at whole numbers) of the foot of a place on the raster's plane. */
export function rasterPoint(raster: Pick<Raster, "origin" | "across" | "down">, lps: Vec3): Point {
  const from = subtract(lps, raster.origin);
  const { across, down } = raster;
  const aa = dot(across, across);
  const dd = dot(down, down);
  const ad = dot(across, down);
  const a = dot(from, across);
  const d = dot(from, down);
  const determinant = aa * dd - ad * ad;
  return { x: (a * dd - d * ad) / determinant, y: (d * aa - a * ad) / determinant };
}

export function rasterNormal(raster: Raster): Vec3 {
  return unit(cross(raster.across, raster.down));
}

/** How far a place lies from the raster's plane, mm. */
export function distanceToRaster(raster: Raster, lps: Vec3): number {
  return Math.abs(dot(subtract(lps, raster.origin), rasterNormal(raster)));
}

export function pixelSize(raster: Raster): Point {
  return { x: length(raster.across), y: length(raster.down) };
}

const AXES = [
  ["L", "R"],
  ["P", "A"],
  ["H", "F"],
] as const;

/** Where a direction points in the patient, strongest axis first, as PS3.3 C.7.6.1.1.1 letters: "L", "PH", "RAF". */
export function directionLetters(step: Vec3, least = 0.2): string {
  const towards = unit(step);
  return [0, 1, 2]
    .filter((axis) => Math.abs(towards[axis]!) > least)
    .sort((a, b) => Math.abs(towards[b]!) - Math.abs(towards[a]!))
    .map((axis) => AXES[axis]![towards[axis]! > 0 ? 0 : 1])
    .join("");
}
