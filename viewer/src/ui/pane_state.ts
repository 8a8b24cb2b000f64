// One pane: a series and how it is looked at. Everything here goes into the URL.

import { batch, computed, effect, signal } from "@preact/signals";
import type { ColourMapName } from "../render/colour_maps";
import { UPRIGHT, type Pose } from "../render/pose";
import { automaticWindow, palette, type Threshold, type Window } from "../render/window";
import { toIndex } from "../volume/affine";
import { axes, planeNormal, planeSteps, PLANES, stepThrough, turnedAxes, type Axes, type Frame, type Grid, type PlaneName } from "../volume/planes";
import type { Slab } from "../volume/sample";
import { compose, scale, type Vec3 } from "../volume/vector";
import { ANY, isHounsfield, type Choice } from "../wire/info";
import { PaneLayers } from "./layers";
import { acquire, release, type SeriesModel } from "./series_model";
import { cineRate } from "./settings";

export type ViewName = "stack" | PlaneName;
/** One stack, the three planes together, or one of them alone. */
export type Layout = "stack" | "planes" | PlaneName;
export const LAYOUTS: readonly Layout[] = ["stack", "planes", ...PLANES];
export type Poses = Readonly<Record<ViewName, Pose>>;

const ALL_UPRIGHT: Poses = { stack: UPRIGHT, axial: UPRIGHT, coronal: UPRIGHT, sagittal: UPRIGHT };
const SOFT: Window = { center: 40, width: 400 };
let nextId = 1;

export class PaneState {
  readonly id = nextId++;
  readonly model: SeriesModel;
  readonly layout = signal<Layout>("stack");
  readonly slice = signal(-1);
  readonly chosenWindow = signal<Window | null>(null);
  readonly poses = signal<Poses>(ALL_UPRIGHT);
  /** Turned over by the user; MONOCHROME1 is shown turned over to begin with. */
  readonly inverted = signal(false);
  readonly colours = signal<ColourMapName>("grey");
  readonly smooth = signal(true);
  readonly threshold = signal<Threshold | null>(null);
  readonly cross = signal<Vec3 | null>(null);
  readonly frame = signal<Frame>("slices");
  /** How the planes are turned, as a rotation vector: LPS axis, length in degrees. */
  readonly turn = signal<Vec3>([0, 0, 0]);
  readonly axes = computed<Axes | null>(() => {
    void this.model.info.value;
    return this.model.affine && turnedAxes(axes(this.model.affine, this.frame.value), this.turn.value);
  });
  readonly slab = signal<Slab>({ mode: "mip", thickness: 0 });
  readonly playing = signal(false);
  /** Frames a second, where one was chosen here; else the file's own, else the one chosen last. */
  readonly chosenRate = signal<number | null>(null);
  readonly rate = computed(() => this.chosenRate.value ?? this.model.ownRate.value ?? cineRate.value);
  /** The window of the file, or one that shows the first slice that came. */
  readonly ownWindow = signal<Window | null>(null);
  readonly window = computed<Window>(() => this.chosenWindow.value ?? this.ownWindow.value ?? SOFT);
  readonly look = computed(() => ({ window: this.window.value, invert: this.inverted.value !== (this.model.info.value?.inverted ?? false), colours: this.colours.value, threshold: this.threshold.value }));
  readonly palette = computed(() => palette(this.look.value, false));
  readonly planePalette = computed(() => palette(this.look.value, true));
  readonly layers: PaneLayers;
  private readonly stops: (() => void)[] = [];

  constructor(study: string, series: string, start: number | null, choice: Choice = ANY) {
    this.model = acquire(study, series, start, choice);
    this.layers = new PaneLayers(this.model);
    this.stops.push(
      effect(() => this.settle(start)),
      effect(() => {
        const slice = this.slice.value;
        if (slice >= 0) this.model.slices?.look(slice);
      }),
    );
  }

  /** Once the series is known: the slice, the crosshair, the window. */
  private settle(start: number | null): void {
    const info = this.model.info.value;
    void this.model.version.value;
    if (!info) return;
    batch(() => {
      if (this.slice.peek() < 0 || this.slice.peek() >= this.model.count) this.slice.value = Math.max(0, Math.min(start ?? Math.floor(this.model.count / 2), this.model.count - 1));
      const grid = this.model.grid;
      if (grid && !this.cross.peek()) this.cross.value = this.middleOf(grid);
      if (!this.ownWindow.peek()) this.ownWindow.value = this.firstWindow();
      if (!this.model.hasPlanes) this.layout.value = "stack";
    });
  }

  /** The middle of the slice that is shown. */
  private middleOf({ shape }: Grid): Vec3 | null {
    return this.model.lps([this.slice.peek(), (shape[1] - 1) / 2, (shape[2] - 1) / 2]);
  }

  private firstWindow(): Window | null {
    const info = this.model.info.value!;
    if (info.window) return info.window;
    if (isHounsfield(info.unit)) return SOFT;
    const values = this.model.slices?.get(this.slice.peek());
    return values ? automaticWindow(values) : null;
  }

  scroll(steps: number): void {
    this.goTo(this.slice.value + steps);
  }

  goTo(slice: number): void {
    const target = Math.max(0, Math.min(Math.round(slice), this.model.count - 1));
    if (target === this.slice.value) return;
    batch(() => {
      this.slice.value = target;
      const [grid, cross] = [this.model.grid, this.cross.peek()];
      if (!grid || !cross || !this.model.inverse) return;
      const at = toIndex(this.model.inverse, cross);
      this.cross.value = this.model.lps([target, at[1], at[2]]);
    });
  }

  /** Moves the crosshair; the stack follows to the nearest slice. */
  lookAt(place: Vec3): void {
    batch(() => {
      this.cross.value = place;
      if (!this.model.inverse) return;
      const at = toIndex(this.model.inverse, place);
      this.slice.value = Math.max(0, Math.min(Math.round(at[0]), this.model.count - 1));
    });
  }

  /** Goes to a voxel, whole or between, of (slice, row, column). */
  lookAtVoxel(index: Vec3): void {
    const place = this.model.lps(index);
    if (place) this.lookAt(place);
    else this.goTo(index[0]);
  }

  scrollPlane(view: PlaneName, steps: number): void {
    const [grid, cross, axes] = [this.model.grid, this.cross.value, this.axes.value];
    if (grid && cross && axes) this.lookAt(stepThrough(grid, view, axes, cross, steps));
  }

  /** Steps through a view: slices of the stack, or along a plane's normal. */
  scrollView(view: ViewName, steps: number): void {
    if (view === "stack") this.scroll(steps);
    else this.scrollPlane(view, steps);
  }

  /** Turns the other two planes about the normal of one, by degrees, clockwise as it is seen. */
  turnPlanes(view: PlaneName, degrees: number): void {
    const axes = this.axes.value;
    if (axes) this.turn.value = compose(this.turn.value, scale(planeNormal(view, axes), degrees));
  }

  /** How far one is in a view. */
  steps(view: ViewName): { count: number; at: number } {
    const [grid, cross, axes] = [this.model.grid, this.cross.value, this.axes.value];
    if (view === "stack" || !grid || !cross || !axes) return { count: this.model.count, at: this.slice.value };
    return planeSteps(grid, view, axes, cross);
  }

  goView(view: ViewName, to: number): void {
    if (view === "stack") this.goTo(to);
    else this.scrollPlane(view, to - this.steps(view).at);
  }

  /** The views that the layout shows. */
  get views(): readonly ViewName[] {
    const layout = this.layout.value;
    return layout === "planes" ? PLANES : [layout];
  }

  setPose(view: ViewName, pose: Pose): void {
    this.poses.value = { ...this.poses.value, [view]: pose };
  }

  changePoses(change: (pose: Pose) => Pose): void {
    this.poses.value = { ...this.poses.value, ...Object.fromEntries(this.views.map((view) => [view, change(this.poses.value[view])])) };
  }

  reset(): void {
    batch(() => {
      this.poses.value = ALL_UPRIGHT;
      this.chosenWindow.value = null;
      this.inverted.value = false;
      this.colours.value = "grey";
      this.smooth.value = true;
      this.threshold.value = null;
      this.slab.value = { mode: "mip", thickness: 0 };
      this.turn.value = [0, 0, 0];
      const grid = this.model.grid;
      if (grid) this.cross.value = this.middleOf(grid);
    });
  }

  close(): void {
    this.playing.value = false;
    for (const stop of this.stops) stop();
    this.layers.close();
    release(this.model);
  }
}
