// Turning the planes: the crosshair's lines in a view, and the drag that turns them about the view's normal.

import { crossHandles, type CrossLine } from "../render/overlay";
import { toPane, type Matrix, type Pane } from "../render/pose";
import { PLANES, planeNormal, type PlaneName } from "../volume/planes";
import { rasterPoint, type Point } from "../volume/raster";
import { cross } from "../volume/vector";
import type { ViewValues } from "./view_values";

const COLOURS: Readonly<Record<PlaneName, string>> = { axial: "#5ad1ff", coronal: "#6ee7a0", sagittal: "#ffb35a" };
const NEAR = 12;

/** A view as it lies on the screen. */
interface Port {
  readonly values: ViewValues;
  matrix(): Matrix | null;
  pane(): Pane;
}

/** Where the other planes cut a view; on the stack, along its rows and columns. */
export function crossLines({ pane, view, raster }: ViewValues): CrossLine[] {
  const axes = pane.axes.peek();
  if (!raster) return [];
  if (view === "stack" || !axes) return [{ along: raster.across, colour: COLOURS.axial }, { along: raster.down, colour: COLOURS.sagittal }];
  const normal = planeNormal(view, axes);
  return PLANES.filter((name) => name !== view).map((name) => ({ along: cross(normal, planeNormal(name, axes)), colour: COLOURS[name] }));
}

/** A drag that turns the planes, from where it was begun; null where it was begun elsewhere than at a handle. */
export function turningFrom(at: Point, port: Port): ((to: Point) => void) | null {
  const { pane, view, raster } = port.values;
  const [matrix, place] = [port.matrix(), pane.cross.peek()];
  if (view === "stack" || !raster || !matrix || !place) return null;
  const handles = crossHandles(raster, matrix, place, crossLines(port.values), port.pane());
  if (!handles.some(({ x, y }) => Math.hypot(x - at.x, y - at.y) < NEAR)) return null;
  const middle = toPane(matrix, rasterPoint(raster, place));
  const angle = (point: Point): number => (Math.atan2(point.y - middle.y, point.x - middle.x) * 180) / Math.PI;
  // A picture that is flipped turns the other way.
  const sense = matrix.a * matrix.d - matrix.b * matrix.c < 0 ? -1 : 1;
  let last = angle(at);
  return (to) => {
    const now = angle(to);
    pane.turnPlanes(view, sense * (((now - last + 540) % 360) - 180));
    last = now;
  };
}
