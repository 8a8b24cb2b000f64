// What is drawn over a picture: letters of direction, scale bar, crosshair, measurements. No values, no framework.

import { directionLetters, pixelSize, rasterPoint, type Point, type Raster } from "../volume/raster";
import { scale, type Vec3 } from "../volume/vector";
import { toPane, type Matrix, type Pane } from "./pose";
import { scaleBar } from "./scale_bar";

const FONT = '500 12px system-ui, "Noto Sans CJK SC", sans-serif';

/** Text that stays legible on white and on black. */
function label(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour = "#f2f5f7"): void {
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

export function begin(canvas: HTMLCanvasElement, ratio: number): CanvasRenderingContext2D {
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.font = FONT;
  return context;
}

/** Which way the patient lies, at the four edges, however the picture is turned. */
export function drawLetters(context: CanvasRenderingContext2D, raster: Raster, matrix: Matrix, pane: Pane): void {
  if (!raster.placed) return;
  const size = pixelSize(raster);
  const across = scale(raster.across, 1 / size.x);
  const down = scale(raster.down, 1 / size.y);
  const perMm = Math.hypot(matrix.a, matrix.b) / size.x;
  const [ax, ay] = [matrix.a / size.x / perMm, matrix.b / size.x / perMm];
  const [dx, dy] = [matrix.c / size.y / perMm, matrix.d / size.y / perMm];
  const towards = (x: number, y: number): string => {
    const [u, v] = [ax * x + ay * y, dx * x + dy * y];
    return directionLetters([across[0] * u + down[0] * v, across[1] * u + down[1] * v, across[2] * u + down[2] * v]);
  };
  context.textBaseline = "middle";
  context.textAlign = "right";
  label(context, towards(1, 0), pane.width - 22, pane.height / 2);
  context.textAlign = "left";
  label(context, towards(-1, 0), 10, pane.height / 2);
  context.textAlign = "center";
  label(context, towards(0, -1), pane.width / 2, 14);
  label(context, towards(0, 1), pane.width / 2, pane.height - 14);
}

export function drawScaleBar(context: CanvasRenderingContext2D, raster: Raster, matrix: Matrix, pane: Pane): void {
  if (!raster.placed) return;
  const bar = scaleBar(Math.hypot(matrix.a, matrix.b) / pixelSize(raster).x, Math.min(140, pane.width / 4));
  const [x, y] = [pane.width - 34 - bar.pixels, pane.height - 30];
  context.strokeStyle = "rgba(0, 0, 0, 0.7)";
  context.lineWidth = 4;
  const path = new Path2D(`M${x} ${y - 4}v8M${x} ${y}h${bar.pixels}M${x + bar.pixels} ${y - 4}v8`);
  context.stroke(path);
  context.strokeStyle = "#f2f5f7";
  context.lineWidth = 1.5;
  context.stroke(path);
  context.textAlign = "right";
  context.textBaseline = "bottom";
  label(context, bar.text, x + bar.pixels, y - 5);
}

/** A line of the crosshair: its direction (mm), and its colour. */
export interface CrossLine {
  readonly along: Vec3;
  readonly colour: string;
}

/** From the middle of the crosshair to what turns it, as a share of the shorter side. */
const HANDLE = 0.36;

/** Where a crosshair can be taken to be turned, on the pane; none where its middle is not on it. */
export function crossHandles(raster: Raster, matrix: Matrix, place: Vec3, lines: readonly CrossLine[], pane: Pane): Point[] {
  const middle = toPane(matrix, rasterPoint(raster, place));
  const away = Math.min(pane.width, pane.height) * HANDLE;
  return lines.flatMap(({ along }) => {
    const { x, y } = onPane(raster, matrix, along);
    return [away, -away].map((far) => ({ x: middle.x + x * far, y: middle.y + y * far }));
  });
}

/** A direction in mm as one of length 1 on the pane. */
function onPane(raster: Raster, matrix: Matrix, along: Vec3): Point {
  const from = rasterPoint(raster, raster.origin);
  const to = rasterPoint(raster, [raster.origin[0] + along[0], raster.origin[1] + along[1], raster.origin[2] + along[2]]);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const [x, y] = [matrix.a * dx + matrix.c * dy, matrix.b * dx + matrix.d * dy];
  const size = Math.hypot(x, y) || 1;
  return { x: x / size, y: y / size };
}

export function drawHandles(context: CanvasRenderingContext2D, handles: readonly Point[]): void {
  context.lineWidth = 1.5;
  context.strokeStyle = "#f2f5f7";
  context.fillStyle = "rgba(0, 0, 0, 0.6)";
  for (const { x, y } of handles) {
    context.beginPath();
    context.arc(x, y, 5, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

/** Where the other planes cut this one; open in the middle so that the place itself stays visible. */
export function drawCrosshair(context: CanvasRenderingContext2D, raster: Raster, matrix: Matrix, place: Vec3, lines: readonly CrossLine[]): void {
  const { x, y } = toPane(matrix, rasterPoint(raster, place));
  const far = 4000;
  const gap = 14;
  for (const { along, colour } of lines) {
    const { x: ux, y: uy } = onPane(raster, matrix, along);
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(x + side * ux * gap, y + side * uy * gap);
      context.lineTo(x + side * ux * far, y + side * uy * far);
    }
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.stroke();
  }
}

export interface Drawing {
  readonly points: readonly Point[];
  /** Raster points along its lines; none where it is a point alone, which gets a ring. */
  readonly outline: readonly (readonly Point[])[];
  /** Whether its points can be pulled, and are marked. */
  readonly handles: boolean;
  readonly lines: readonly string[];
  readonly chosen: boolean;
}

const INK = "#ffd24d";
const CHOSEN = "#6fe3ff";

/** A measurement whose points are raster pixels, with its numbers beside it. */
export function drawMeasurement(context: CanvasRenderingContext2D, drawing: Drawing, matrix: Matrix, pane: Pane): void {
  const points = drawing.points.map((point) => toPane(matrix, point));
  const path = outline(drawing, matrix);
  const ink = drawing.chosen ? CHOSEN : INK;
  context.strokeStyle = "rgba(0, 0, 0, 0.6)";
  context.lineWidth = 3.5;
  context.stroke(path);
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.stroke(path);
  if (drawing.handles) {
    context.fillStyle = ink;
    for (const { x, y } of points) context.fillRect(x - 2.5, y - 2.5, 5, 5);
  }
  drawText(context, drawing.lines, points, pane, ink);
}

function outline({ points, outline }: Drawing, matrix: Matrix): Path2D {
  const path = new Path2D();
  const [first] = points;
  if (!outline.length && first) {
    const { x, y } = toPane(matrix, first);
    path.arc(x, y, 5, 0, 2 * Math.PI);
  }
  for (const line of outline)
    line.forEach((point, index) => {
      const { x, y } = toPane(matrix, point);
      if (index) path.lineTo(x, y);
      else path.moveTo(x, y);
    });
  return path;
}

/** Where text of that size stands clear of a measurement: right of it, else left, else below or above. */
function beside(points: readonly Point[], pane: Pane, width: number, height: number): Point {
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const y = Math.max(12, Math.min(top, pane.height - height - 8));
  if (right + 10 + width <= pane.width - 28) return { x: right + 16, y };
  if (left - 16 - width >= 24) return { x: left - 16 - width, y };
  const x = Math.max(8, Math.min(left, pane.width - width - 14));
  return { x, y: bottom + 12 + height <= pane.height - 8 ? bottom + 14 : Math.max(12, top - height - 14) };
}

/** Narrower than this, a pane shows the first line of a measurement only; the panel has all. */
const NARROW = 240;

function drawText(context: CanvasRenderingContext2D, all: readonly string[], points: readonly Point[], pane: Pane, ink: string): void {
  if (!all.length || !points.length) return;
  const lines = pane.width < NARROW ? all.slice(0, 1) : all;
  const width = Math.max(...lines.map((line) => context.measureText(line).width));
  const { x, y } = beside(points, pane, width, lines.length * 16);
  context.fillStyle = "rgba(0, 0, 0, 0.6)";
  context.beginPath();
  context.roundRect(x - 6, y - 5, width + 12, lines.length * 16 + 8, 4);
  context.fill();
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillStyle = ink;
  lines.forEach((line, index) => context.fillText(line, x, y + index * 16));
}
