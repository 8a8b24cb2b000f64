// How a raster lies on the screen: zoomed, moved, turned, flipped. Lengths in mm become pixels evenly in both
// directions, so that a picture of unequal pixel spacing is not squeezed.

import { pixelSize, type Point, type Raster } from "../volume/raster";

export interface Pose {
  /** 1 fits the raster into its pane. */
  readonly zoom: number;
  /** Moved by so many CSS pixels. */
  readonly x: number;
  readonly y: number;
  /** Degrees, clockwise. */
  readonly turn: number;
  readonly flip: boolean;
}

export const UPRIGHT: Pose = { zoom: 1, x: 0, y: 0, turn: 0, flip: false };

/** Canvas order: x' = a·x + c·y + e, y' = b·x + d·y + f. */
export interface Matrix {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

export interface Pane {
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
}

const MARGIN = 0.98;

/** CSS pixels per mm at zoom 1, for the raster as it is turned. */
export function fitScale(raster: Raster, pane: Pane, turn: number): number {
  const size = pixelSize(raster);
  const [w, h] = [raster.width * size.x, raster.height * size.y];
  const quarter = Math.abs(Math.sin((turn * Math.PI) / 180)) > Math.SQRT1_2;
  const [across, down] = quarter ? [h, w] : [w, h];
  return Math.max(1e-6, MARGIN * Math.min(pane.width / across, pane.height / down));
}

/** Raster pixels (centres at whole numbers) → CSS pixels of the pane. */
export function poseMatrix(pose: Pose, raster: Raster, pane: Pane): Matrix {
  const size = pixelSize(raster);
  const perMm = fitScale(raster, pane, pose.turn) * pose.zoom;
  const turn = (pose.turn * Math.PI) / 180;
  const [cos, sin] = [exact(Math.cos(turn)), exact(Math.sin(turn))];
  const sx = perMm * size.x * (pose.flip ? -1 : 1);
  const sy = perMm * size.y;
  const [a, b, c, d] = [cos * sx, sin * sx, -sin * sy, cos * sy];
  const [cx, cy] = [(raster.width - 1) / 2, (raster.height - 1) / 2];
  return { a, b, c, d, e: pane.width / 2 + pose.x - a * cx - c * cy, f: pane.height / 2 + pose.y - b * cx - d * cy };
}

function exact(value: number): number {
  return Math.abs(value) < 1e-12 ? 0 : value;
}

export function toPane(m: Matrix, p: Point): Point {
  return { x: m.a * p.x + m.c * p.y + m.e, y: m.b * p.x + m.d * p.y + m.f };
}

export function toRaster(m: Matrix, p: Point): Point {
  const determinant = m.a * m.d - m.b * m.c;
  const [x, y] = [p.x - m.e, p.y - m.f];
  return { x: (m.d * x - m.c * y) / determinant, y: (m.a * y - m.b * x) / determinant };
}

const [LEAST_ZOOM, MOST_ZOOM] = [0.05, 60];

/** Zoom by `factor` about the middle of the pane. */
export const zoomed = (pose: Pose, factor: number): Pose => zoomAbout(pose, { width: 0, height: 0 }, { x: 0, y: 0 }, factor);

/** Zoom by `factor` about a point of the pane, which stays where it is. */
export function zoomAbout(pose: Pose, pane: Pane, at: Point, factor: number): Pose {
  const zoom = Math.min(Math.max(pose.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
  const real = zoom / pose.zoom;
  const [dx, dy] = [at.x - pane.width / 2, at.y - pane.height / 2];
  return { ...pose, zoom, x: dx - (dx - pose.x) * real, y: dy - (dy - pose.y) * real };
}

/** Mirrored as seen on the screen, however it was turned before. */
export function flipped(pose: Pose, horizontally: boolean): Pose {
  const turn = normalTurn(horizontally ? -pose.turn : 180 - pose.turn);
  return { ...pose, flip: !pose.flip, turn, x: horizontally ? -pose.x : pose.x, y: horizontally ? pose.y : -pose.y };
}

export function turned(pose: Pose, degrees: number): Pose {
  const by = (degrees * Math.PI) / 180;
  const [cos, sin] = [exact(Math.cos(by)), exact(Math.sin(by))];
  return { ...pose, turn: normalTurn(pose.turn + degrees), x: pose.x * cos - pose.y * sin, y: pose.x * sin + pose.y * cos };
}

export function normalTurn(degrees: number): number {
  const turn = ((degrees % 360) + 360) % 360;
  return Math.round(turn * 100) / 100;
}

/** The pose in which one raster pixel is one pixel of the screen. */
export function actualSize(pose: Pose, raster: Raster, pane: Pane, deviceRatio: number): Pose {
  const perPixel = fitScale(raster, pane, pose.turn) * Math.max(pixelSize(raster).x, pixelSize(raster).y);
  return { ...pose, zoom: 1 / (perPixel * deviceRatio), x: 0, y: 0 };
}
