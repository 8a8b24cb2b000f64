// Three planes through a point, at right angles to each other, each a raster that covers the whole volume.
//
// Their directions are those of the slices (across, down, normal) or of the patient (L, P, H); under gantry tilt the
// slices' own stacking direction is neither, and only the affine knows it. The first plane of the slices' directions
// is a slice itself.

import { toLps, type Affine } from "./affine";
import type { Raster } from "./raster";
import { add, cross, dot, length, rotated, scale, subtract, unit, type Vec3 } from "./vector";

export type PlaneName = "axial" | "coronal" | "sagittal";
export type Frame = "slices" | "patient";
export const PLANES: readonly PlaneName[] = ["axial", "coronal", "sagittal"];

export interface Grid {
  readonly affine: Affine;
  /** (slices, rows, columns) */
  readonly shape: Vec3;
}

/** Directions of the planes: `left`, `back` and `head` are at right angles; `base` is what they were turned from. */
export interface Axes {
  readonly left: Vec3;
  readonly back: Vec3;
  readonly head: Vec3;
  readonly base?: Axes;
}

/** Orthonormal axes that point nearest to the patient's left, back and head. */
export function axes(affine: Affine, frame: Frame): Axes {
  if (frame === "patient") return { left: [1, 0, 0], back: [0, 1, 0], head: [0, 0, 1] };
  const normal = unit(cross(affine.column, affine.row));
  const columnLike = unit(affine.column);
  const own = [columnLike, unit(cross(normal, columnLike)), normal];
  const taken = new Set<number>();
  const nearest = (axis: number): Vec3 => {
    let best = -1;
    own.forEach((candidate, index) => {
      if (!taken.has(index) && (best < 0 || Math.abs(candidate[axis]!) > Math.abs(own[best]![axis]!))) best = index;
    });
    taken.add(best);
    const chosen = own[best]!;
    return chosen[axis]! < 0 ? scale(chosen, -1) : chosen;
  };
  const head = nearest(2);
  const left = nearest(0);
  return { left, back: nearest(1), head };
}

/** As radiologists look: axial from below, coronal from the front, sagittal from the patient's left. */
function directions(name: PlaneName, axes: Axes): { across: Vec3; down: Vec3 } {
  const { left, back, head } = axes;
  const turned = name === "axial" ? { across: left, down: back } : name === "coronal" ? { across: left, down: scale(head, -1) } : { across: back, down: scale(head, -1) };
  if (!axes.base) return turned;
  // A turned plane keeps its picture upright: across as it was, as far as that lies in the plane.
  const normal = cross(turned.across, turned.down);
  const before = directions(name, axes.base).across;
  const within = subtract(before, scale(normal, dot(before, normal)));
  if (length(within) < 0.2) return turned;
  const across = unit(within);
  return { across, down: cross(normal, across) };
}

/** The normal of a plane. */
export function planeNormal(name: PlaneName, axes: Axes): Vec3 {
  const { across, down } = directions(name, axes);
  return cross(across, down);
}

/** Axes turned by a rotation vector: its direction the axis (LPS), its length the angle in degrees. */
export function turnedAxes(base: Axes, turn: Vec3): Axes {
  if (length(turn) < 1e-9) return base;
  const by = (axis: Vec3): Vec3 => rotated(axis, turn);
  return { left: by(base.left), back: by(base.back), head: by(base.head), base };
}

function corners({ affine, shape }: Grid): Vec3[] {
  const found: Vec3[] = [];
  for (const s of [0, shape[0] - 1]) for (const r of [0, shape[1] - 1]) for (const c of [0, shape[2] - 1]) found.push(toLps(affine, [s, r, c]));
  return found;
}

const LARGEST_SIDE = 640;

/** The raster of a plane through `through` (LPS mm): square pixels of the finest spacing, at most 640 a side. */
export function planeRaster(grid: Grid, name: PlaneName, axes: Axes, through: Vec3): Raster {
  const { across, down } = directions(name, axes);
  const normal = cross(across, down);
  const ends = corners(grid);
  const extent = (along: Vec3): [number, number] => {
    const places = ends.map((corner) => dot(corner, along));
    return [Math.min(...places), Math.max(...places)];
  };
  const [left, right] = extent(across);
  const [top, bottom] = extent(down);
  const finest = Math.min(length(grid.affine.row), length(grid.affine.column), length(grid.affine.slice));
  const pixel = Math.max(finest, Math.max(right - left, bottom - top) / (LARGEST_SIDE - 1));
  const origin = add(add(scale(across, left), scale(down, top)), scale(normal, dot(through, normal)));
  return {
    width: Math.max(1, Math.ceil((right - left) / pixel - 1e-6) + 1),
    height: Math.max(1, Math.ceil((bottom - top) / pixel - 1e-6) + 1),
    origin,
    across: scale(across, pixel),
    down: scale(down, pixel),
    placed: true,
  };
}

/** The raster of slice `index` itself. */
export function sliceRaster(affine: Affine, shape: Vec3, index: number, position?: Vec3): Raster {
  return {
    width: shape[2],
    height: shape[1],
    origin: position ?? toLps(affine, [index, 0, 0]),
    across: affine.column,
    down: affine.row,
    placed: true,
  };
}

/** Moves `through` along a plane's normal by `steps` slices or, across the slices, pixels. */
export function stepThrough(grid: Grid, name: PlaneName, axes: Axes, through: Vec3, steps: number): Vec3 {
  const normal = planeNormal(name, axes);
  const away = name === "sagittal" ? 1 : -1;
  const sizes = [grid.affine.slice, grid.affine.row, grid.affine.column];
  const aligned = sizes.reduce((best, step) => (Math.abs(dot(unit(step), normal)) > Math.abs(dot(unit(best), normal)) ? step : best));
  const size = Math.abs(dot(aligned, normal)) || 1;
  const moved = add(through, scale(normal, away * steps * size));
  return clampInside(grid, moved, normal);
}

/** How many steps of `stepThrough` cross the volume, and at which of them, from 0, `through` lies. */
export function planeSteps(grid: Grid, name: PlaneName, axes: Axes, through: Vec3): { count: number; at: number } {
  const along = scale(planeNormal(name, axes), name === "sagittal" ? 1 : -1);
  const places = corners(grid).map((corner) => dot(corner, along));
  const [low, high] = [Math.min(...places), Math.max(...places)];
  const size = Math.abs(dot(subtract(stepThrough(grid, name, axes, centreOf(grid), 1), centreOf(grid)), along)) || 1;
  const count = Math.floor((high - low) / size + 1e-6) + 1;
  return { count, at: Math.max(0, Math.min(count - 1, Math.round((dot(through, along) - low) / size))) };
}

function clampInside(grid: Grid, place: Vec3, along: Vec3): Vec3 {
  const ends = corners(grid).map((corner) => dot(corner, along));
  const at = dot(place, along);
  const bounded = Math.min(Math.max(at, Math.min(...ends)), Math.max(...ends));
  return add(place, scale(along, bounded - at));
}

export function centreOf(grid: Grid): Vec3 {
  return toLps(grid.affine, [(grid.shape[0] - 1) / 2, (grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2]);
}

/** Whether two steps are at right angles, within a tenth of a degree: a grid without shear. */
export function isUpright(affine: Affine): boolean {
  const normal = unit(cross(affine.column, affine.row));
  const step = affine.slice;
  const aside = length(subtract(step, scale(normal, dot(step, normal))));
  return aside / Math.max(length(step), 1e-12) < Math.sin((0.1 * Math.PI) / 180);
}
