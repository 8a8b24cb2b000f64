// What drags, wheels and pinches do to a view: window, pan, zoom, scroll, crosshair, drawing.

import { toPane, toRaster, turned, zoomAbout, type Matrix, type Pane, type Pose } from "../render/pose";
import type { Measurement } from "../tools/measurements";
import { isKind, toolOf, type Kind, type Tool } from "../tools/registry";
import { distanceToLine } from "../render/outline";
import { rasterLps, type Point, type Raster } from "../volume/raster";
import type { Drag, GestureHandlers } from "./gestures";
import { commit, draft, pointsOn, visible, withPoint, withPoints } from "./measuring";
import { activeId, chosen, tool } from "./session";
import { buttons } from "./settings";
import { turningFrom } from "./turning";
import type { ViewValues } from "./view_values";

/** What a view tells its interaction, and what it takes back. */
export interface ViewPort {
  readonly values: ViewValues;
  matrix(): Matrix | null;
  pane(): Pane;
  /** Draws a measurement that is being made. */
  showDraft(item: Measurement | null): void;
  hovered(at: Point | null): void;
  /** Whether a measurement is under the pointer, to be pulled or moved. */
  graspable(near: boolean): void;
}

const NEAR = 9;
const PIXELS_PER_SLICE = 6;

/** The first stroke of two, and the slice or place it lies on: elsewhere, and with another tool, it is forgotten. */
type Begun = { readonly kind: Kind; readonly points: readonly Point[]; readonly ground: string };

/** How many points the first of two strokes has, and both. */
const STROKES = { corner: [2, 3], lines: [2, 4] } as const;

/** A measurement that is pulled by a point, or moved as a whole from where it was (`from`, on the raster). */
type Edit = { readonly item: Measurement; readonly point: number } | { readonly item: Measurement; readonly from: Point; readonly points: readonly Point[] };

export function interaction(port: ViewPort): GestureHandlers & { readonly abandon: () => boolean } {
  const { values } = port;
  const { pane, view } = values;
  let action: Tool | null = null;
  let scrollRest = 0;
  let trail: Point[] = [];
  let edit: Edit | null = null;
  let begun: Begun | null = null;
  let turning: ((to: Point) => void) | null = null;

  const raster = (at: Point): Point | null => {
    const matrix = port.matrix();
    return matrix ? toRaster(matrix, at) : null;
  };
  const pose = (): Pose => pane.poses.peek()[view];

  const dragWindow = (drag: Drag): void => {
    const { center, width } = pane.window.peek();
    const gain = Math.max(0.25, width / 400);
    pane.chosenWindow.value = { center: Math.round(center + drag.dy * gain), width: Math.max(1, Math.round(width + drag.dx * gain)) };
  };

  const dragScroll = (drag: Drag): void => {
    scrollRest += drag.dy;
    const steps = Math.trunc(scrollRest / PIXELS_PER_SLICE);
    scrollRest -= steps * PIXELS_PER_SLICE;
    if (steps) pane.scrollView(view, steps);
  };

  const moveCross = (at: Point): void => {
    const point = raster(at);
    if (point && values.raster?.placed) pane.lookAt(rasterLps(values.raster, point));
  };

  const nearest = (at: Point): Edit | null => {
    const matrix = port.matrix();
    if (!matrix || !values.raster) return null;
    for (const item of visible(values)) {
      const points = toolOf(item.kind).strokes === "trail" ? [] : pointsOn(item, values.raster, view);
      const point = points.findIndex((each) => Math.hypot(toPane(matrix, each).x - at.x, toPane(matrix, each).y - at.y) < NEAR);
      if (point >= 0) return { item, point };
    }
    return byItsLine(at, matrix, values.raster);
  };

  /** Only with its own tool: with another one, a drag that begins on a line draws something new. */
  const byItsLine = (at: Point, matrix: Matrix, raster: Raster): Edit | null => {
    for (const item of visible(values).filter((each) => each.kind === tool.peek())) {
      const points = pointsOn(item, raster, view);
      const lines = toolOf(item.kind).outline(points).map((line) => line.map((point) => toPane(matrix, point)));
      if (lines.some((line) => distanceToLine(line, at) < NEAR / 2)) return { item, from: toRaster(matrix, at), points };
    }
    return null;
  };

  const edited = (by: Edit, to: Point): Measurement => {
    if ("point" in by) return withPoint(by.item, by.point, to, values);
    const [dx, dy] = [to.x - by.from.x, to.y - by.from.y];
    return withPoints(by.item, by.points.map(({ x, y }) => ({ x: x + dx, y: y + dy })), values);
  };

  /** What the view shows now, so that what was begun on it is not ended on something else. */
  const ground = (): string => (view === "stack" ? String(pane.slice.peek()) : (values.raster?.origin ?? []).join());
  const waits = (kind: unknown): boolean => begun?.kind === kind && begun?.ground === ground();

  /** The second leg of an angle follows the pointer. */
  const follow = (at: Point | null): void => {
    if (!begun) return;
    if (!waits(tool.peek())) forget();
    else if (at && toolOf(begun.kind).strokes === "corner") showWith(raster(at));
  };
  const showWith = (end: Point | null): void => {
    if (end) port.showDraft(draft(begun!.kind, [...begun!.points, end], values));
  };
  const forget = (): void => {
    begun = edit = null;
    trail = [];
    port.showDraft(null);
  };

  /** Ends what is being drawn or dragged, without a result; whether something was being drawn. */
  const abandon = (): boolean => {
    const drawing = !!begun || !!edit || trail.length > 0;
    forget();
    action = null;
    return drawing;
  };

  const startMeasuring = (kind: Kind, at: Point): void => {
    edit = nearest(at);
    const point = raster(at);
    if (edit) chosen.value = edit.item.id;
    else if (point) trail = startOf(kind, point);
    begun = null;
  };

  const startOf = (kind: Kind, point: Point): Point[] => {
    if (!waits(kind)) return [point, point];
    return toolOf(kind).strokes === "corner" ? [...begun!.points, point] : [...begun!.points, point, point];
  };

  const moveMeasuring = (kind: Kind, at: Point): void => {
    const point = raster(at);
    if (!point) return;
    if (edit) {
      edit = { ...edit, item: edited(edit, point) };
      port.showDraft(edit.item);
      return;
    }
    if (!trail.length) return;
    trail = toolOf(kind).strokes === "trail" ? [...trail, point] : [...trail.slice(0, -1), point];
    port.showDraft(draft(kind, toolOf(kind).strokes === "point" ? [point] : trail, values));
  };

  const endMeasuring = (kind: Kind, moved: boolean): void => {
    port.showDraft(null);
    if (edit) {
      if (moved) commit(edit.item);
    } else endStroke(kind, moved);
    edit = null;
    trail = [];
  };

  const endStroke = (kind: Kind, moved: boolean): void => {
    const { strokes } = toolOf(kind);
    if (strokes === "point") {
      if (trail.length) commit(draft(kind, [trail.at(-1)!], values));
      return;
    }
    const [first, both] = strokes === "corner" || strokes === "lines" ? STROKES[strokes] : [0, trail.length];
    if (trail.length === first && moved) {
      begun = { kind, points: trail, ground: ground() };
      port.showDraft(draft(kind, trail, values));
    } else if (trail.length > 1 && trail.length === both && (moved || strokes === "corner")) {
      commit(draft(kind, trail, values));
    }
  };

  const act = (drag: Drag, starting: boolean): void => {
    if (!action) return;
    if (isKind(action)) {
      if (starting) startMeasuring(action, drag.from);
      else moveMeasuring(action, drag.at);
    } else if (action === "crosshair") {
      if (starting) turning = turningFrom(drag.from, port);
      if (turning) turning(drag.at);
      else moveCross(drag.at);
    } else if (starting) return;
    else if (action === "window") dragWindow(drag);
    else if (action === "scroll") dragScroll(drag);
    else if (action === "pan") pane.setPose(view, { ...pose(), x: pose().x + drag.dx, y: pose().y + drag.dy });
    else if (action === "zoom") pane.setPose(view, zoomAbout(pose(), port.pane(), drag.from, Math.exp(drag.dy * -0.008)));
  };

  return {
    start(drag) {
      activeId.value = pane.id;
      const bound = buttons.peek()[drag.button];
      action = bound === "tool" ? tool.peek() : bound;
      scrollRest = 0;
      act(drag, true);
    },
    move: (drag) => act(drag, false),
    end(_drag, moved) {
      if (action && isKind(action)) endMeasuring(action, moved);
    },
    cancel: () => void abandon(),
    abandon,
    hover(at) {
      port.hovered(at);
      port.graspable(!!at && isKind(tool.peek()) && !trail.length && (!!edit || !!nearest(at)));
      if (!trail.length && !edit) follow(at);
    },
    wheel(at, steps, keys) {
      activeId.value = pane.id;
      if (keys.ctrl) pane.setPose(view, zoomAbout(pose(), port.pane(), at, Math.exp(-steps * 0.12)));
      else if (keys.shift) pane.setPose(view, turned(pose(), steps * 3));
      else pane.scrollView(view, steps);
    },
    pinch(at, factor, dx, dy, turn) {
      const moved = zoomAbout(pose(), port.pane(), at, factor);
      const still = { ...moved, x: moved.x + dx, y: moved.y + dy };
      pane.setPose(view, Math.abs(turn) > 0.5 ? turned(still, turn) : still);
    },
  };
}

