// What one view shows: a raster and its values, read from the pane's state.

import { rasterLps, type Point, type Raster } from "../volume/raster";
import { planeRaster, type PlaneName } from "../volume/planes";
import { OUTSIDE, samplePlane } from "../volume/sample";
import { toIndex } from "../volume/affine";
import type { Vec3 } from "../volume/vector";
import type { PaneState, ViewName } from "./pane_state";

export interface VoxelAt {
  readonly index: Vec3;
  /** Where in it, in fractions of voxels. */
  readonly exact: Vec3;
  readonly lps: Vec3 | null;
  readonly value: number | null;
}

/** Sampled planes are kept until what they depend on changes. */
export class ViewValues {
  raster: Raster | null = null;
  values: Int16Array | null = null;
  stamp = 0;
  private key = "";
  private buffer: Int16Array | undefined;

  constructor(
    readonly pane: PaneState,
    readonly view: ViewName,
  ) {}

  /** Reads the signals it depends on, so that an effect that calls it runs again when they change. */
  refresh(): void {
    if (this.view === "stack") this.refreshSlice();
    else this.refreshPlane(this.view);
  }

  private refreshSlice(): void {
    const { pane } = this;
    const slice = pane.slice.value;
    this.raster = slice < 0 ? null : pane.model.raster(slice);
    this.values = pane.model.slices?.get(slice) ?? null;
  }

  private refreshPlane(name: PlaneName): void {
    const { pane } = this;
    const version = pane.model.version.value;
    const [grid, cross] = [pane.model.grid, pane.cross.value];
    const [frame, slab, linear] = [pane.frame.value, pane.slab.value, pane.smooth.value];
    if (!grid || !cross || !pane.model.slices) {
      this.raster = this.values = null;
      return;
    }
    const raster = planeRaster(grid, name, frame, cross);
    const key = [...raster.origin, frame, slab.mode, slab.thickness, linear, version].join();
    if (key === this.key) return;
    this.key = key;
    this.raster = raster;
    const slices = pane.model.slices;
    this.buffer = this.values = samplePlane(grid, (index) => slices.get(index), raster, { linear, slab }, this.buffer);
    this.stamp += 1;
  }

  /** The voxel under a point of the raster and its own value, never interpolated. */
  voxelAt(point: Point): VoxelAt | null {
    const { raster, pane } = this;
    const shape = pane.model.info.value?.shape;
    if (!raster || !shape) return null;
    if (this.view === "stack") {
      const [row, column] = [Math.floor(point.y + 0.5), Math.floor(point.x + 0.5)];
      if (row < 0 || column < 0 || row >= shape[1] || column >= shape[2]) return null;
      const value = this.values?.[row * shape[2] + column] ?? null;
      const index: Vec3 = [pane.slice.value, row, column];
      return { index, exact: [index[0], point.y, point.x], lps: raster.placed ? rasterLps(raster, point) : null, value };
    }
    if (!pane.model.inverse) return null;
    // Of the pixel that is drawn: its centre is where it was sampled.
    const lps = rasterLps(raster, { x: Math.round(point.x), y: Math.round(point.y) });
    const exact = toIndex(pane.model.inverse, lps);
    const index = exact.map((at) => Math.floor(at + 0.5)) as unknown as Vec3;
    if (index.some((at, axis) => at < 0 || at >= shape[axis]!)) return null;
    const value = pane.model.slices?.get(index[0])?.[index[1] * shape[2] + index[2]] ?? null;
    return { index, exact, lps, value };
  }

  /** What is drawn at a pixel of the raster; null outside the volume. */
  drawnAt(column: number, row: number): number | null {
    const value = this.raster && this.values?.[row * this.raster.width + column];
    return value === undefined || value === null || (this.view !== "stack" && value === OUTSIDE) ? null : value;
  }
}
