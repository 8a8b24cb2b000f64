// What one view shows: a raster and its values, read from the pane's state.

import { rasterLps, type Point, type Raster } from "../volume/raster";
import { planeRaster, type Grid, type PlaneName } from "../volume/planes";
import { OUTSIDE, type Sampling } from "../volume/sample";
import { quickSlab, samplePlane, sampleSlab } from "../volume/slab";
import { toIndex } from "../volume/affine";
import type { Vec3 } from "../volume/vector";
import type { PaneState, ViewName } from "./pane_state";

/** Samples of a slab that are taken while one moves: some 10 ms a view. */
const AT_A_GLANCE = 300_000;
const REST_MS = 120;
const LOADING_MS = 1500;
/** How long one step of making a slab may take. */
const STEP_MS = 8;
/** While slices come, drawing takes no more of the time than one in so many. */
const PAUSES = 8;

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
  /** Whether a slab is shown as it could be had quickly; the slab itself comes once things rest. */
  coarse = false;
  private key = "";
  private version = -1;
  private buffer: Int16Array | undefined;
  private spare: Int16Array | undefined;
  private timer = 0;
  private later = 0;
  private cost = 0;
  private sampledAt = 0;

  constructor(
    readonly pane: PaneState,
    readonly view: ViewName,
    /** Called when it is to be drawn again, though nothing of the pane changed. */
    private readonly changed: () => void,
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
    const [grid, cross, slices] = [pane.model.grid, pane.cross.value, pane.model.slices];
    const sampling: Sampling = { linear: pane.smooth.value, slab: pane.slab.value };
    const axes = pane.axes.value;
    if (!grid || !cross || !slices || !axes) {
      this.raster = this.values = null;
      return;
    }
    const raster = planeRaster(grid, name, axes, cross);
    const { slab } = sampling;
    const key = [...raster.origin, ...raster.across, ...raster.down, slab.mode, slab.thickness, sampling.linear].join();
    if (key === this.key && (version === this.version || this.waitsForMore())) return;
    [this.key, this.version, this.raster] = [key, version, raster];
    const begun = performance.now();
    this.sample(grid, raster, sampling);
    this.stamp += 1;
    this.sampledAt = performance.now();
    this.cost = this.sampledAt - begun;
  }

  private sample(grid: Grid, raster: Raster, sampling: Sampling): void {
    const slices = this.pane.model.slices!;
    this.stopRefining();
    this.coarse = false;
    if (!sampling.slab.thickness || !this.pane.model.inverse) {
      this.buffer = this.values = samplePlane(grid, (index) => slices.get(index), raster, sampling, this.buffer);
      return;
    }
    const held = Array.from({ length: grid.shape[0] }, (_, index) => slices.get(index));
    const size = raster.width * raster.height;
    if (this.buffer?.length !== size) this.buffer = new Int16Array(size);
    this.values = this.buffer;
    this.coarse = !quickSlab(grid, held, raster, this.pane.model.inverse, sampling, this.buffer, AT_A_GLANCE);
    // While slices come it would be made anew again and again.
    if (this.coarse) this.timer = window.setTimeout(() => this.refine(sampleSlab(grid, held, raster, this.pane.model.inverse!, sampling, this.second(size))), slices.complete ? REST_MS : LOADING_MS);
  }

  /** The buffer that is not shown. */
  private second(size: number): Int16Array {
    if (this.spare?.length !== size) this.spare = new Int16Array(size);
    return this.spare;
  }

  /** Makes the slab itself in short steps, and shows it when it is whole. */
  private refine(steps: Generator<void>): void {
    const until = performance.now() + STEP_MS;
    while (performance.now() < until) {
      if (!steps.next().done) continue;
      [this.buffer, this.spare] = [this.spare, this.buffer];
      this.values = this.buffer!;
      this.coarse = false;
      this.stamp += 1;
      this.changed();
      return;
    }
    this.timer = window.setTimeout(() => this.refine(steps));
  }

  private stopRefining(): void {
    clearTimeout(this.timer);
  }

  /** Whether only more slices came, while others are on their way, too soon after the last that were drawn. */
  private waitsForMore(): boolean {
    const { slices } = this.pane.model;
    if (!slices || slices.complete || performance.now() - this.sampledAt > PAUSES * this.cost) return false;
    this.later ||= window.setTimeout(() => {
      this.later = 0;
      this.changed();
    }, PAUSES * this.cost);
    return true;
  }

  close(): void {
    this.stopRefining();
    clearTimeout(this.later);
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
