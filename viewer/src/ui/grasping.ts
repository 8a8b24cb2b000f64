// Measuring without a mouse: Enter puts a measurement at the crosshair and grasps it (or grasps the chosen one),
// arrows move it, Shift and arrows change its size, Enter or Escape lets go.

import { toPane, toRaster } from "../render/pose";
import type { Measurement } from "../tools/measurements";
import { isKind, toolOf, type Kind } from "../tools/registry";
import { rasterPoint, type Point, type Raster } from "../volume/raster";
import { commit, draft, pointsOn, visible, withPoints } from "./measuring";
import { chosen, grasped, measurements, tool } from "./session";
import type { ViewDrawing } from "./view";

const SHARE = 0.08;
const ARROWS: Readonly<Record<string, Point>> = { ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 } };

/** Whether the key was one for the measurement that is held, or to be held, on this view. */
export function graspByKey(event: KeyboardEvent, drawing: ViewDrawing | undefined): boolean {
  if (!drawing || event.ctrlKey || event.metaKey || event.altKey) return false;
  const held = measurements.peek().find((item) => item.id === grasped.peek());
  if (held && ARROWS[event.key]) move(held, drawing, ARROWS[event.key]!, event.shiftKey);
  else if (held && (event.key === "Enter" || event.key === "Escape")) grasped.value = 0;
  else if (event.key === "Enter" && isKind(tool.peek())) place(tool.peek() as Kind, drawing);
  else if (event.key === "Enter" && visible(drawing.values).some((item) => item.id === chosen.peek())) grasped.value = chosen.peek();
  else return false;
  return true;
}

function place(kind: Kind, drawing: ViewDrawing): void {
  const { raster, pane } = drawing.values;
  if (!raster || !pane.model.info.peek()?.shape) return;
  const item = draft(kind, toolOf(kind).figure(middle(raster, drawing), SHARE * Math.min(raster.width, raster.height)), drawing.values);
  commit(item);
  grasped.value = item.id;
}

/** The crosshair, or the middle of the picture where that lies elsewhere. */
function middle(raster: Raster, drawing: ViewDrawing): Point {
  const cross = drawing.values.pane.cross.peek();
  const at = cross && raster.placed ? rasterPoint(raster, cross) : null;
  if (at && at.x > 0 && at.y > 0 && at.x < raster.width && at.y < raster.height) return at;
  return { x: (raster.width - 1) / 2, y: (raster.height - 1) / 2 };
}

/** By one pixel of the picture, in the direction seen on the screen. */
function move(item: Measurement, drawing: ViewDrawing, { x, y }: Point, resize: boolean): void {
  const matrix = drawing.matrix();
  const { raster, view } = drawing.values;
  if (!matrix || !raster) return;
  const step = Math.hypot(matrix.a, matrix.b);
  const points = pointsOn(item, raster, view);
  const shifted = (point: Point): Point => {
    const on = toPane(matrix, point);
    return toRaster(matrix, { x: on.x + x * step, y: on.y + y * step });
  };
  const next = !resize ? points.map(shifted) : toolOf(item.kind).strokes === "trail" ? grown(points, x - y) : [...points.slice(0, -1), shifted(points.at(-1)!)];
  const moved = withPoints(item, next, drawing.values, points);
  measurements.value = measurements.peek().map((each) => (each.id === item.id ? moved : each));
}

/** A drawing has no corner to pull: it grows or shrinks about its middle. */
function grown(points: readonly Point[], by: number): Point[] {
  const [cx, cy] = [points.reduce((sum, point) => sum + point.x, 0) / points.length, points.reduce((sum, point) => sum + point.y, 0) / points.length];
  const factor = by > 0 ? 1.05 : 1 / 1.05;
  return points.map(({ x, y }) => ({ x: cx + (x - cx) * factor, y: cy + (y - cy) * factor }));
}
