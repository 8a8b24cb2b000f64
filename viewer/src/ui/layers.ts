// Layers of a pane: what may be laid over its series, what is, and how it is drawn. One list for labels, doses and
// differences: values on a grid, a palette, an opacity.

import { batch, computed, effect, signal } from "@preact/signals";
import { differencePalette, labelPalette, washPalette, type LabelStyle, type Rgb } from "../render/layer_colours";
import { affineFromRows, invert, toIndex, type Inverse } from "../volume/affine";
import type { Grid } from "../volume/planes";
import { OUTSIDE } from "../volume/sample";
import { samplePlane } from "../volume/slab";
import type { Vec3 } from "../volume/vector";
import { isDifference, layerInfo, layersOf, layerSlices, type LayerInfo, type LayerKind, type Listed } from "../wire/layers";
import type { Word } from "./words";
import type { SeriesModel } from "./series_model";

/** What the kinds of layers are called. */
export const KIND_WORDS: Readonly<Record<LayerKind, Word>> = { SEG: "layerSeg", RTSTRUCT: "layerStruct", labels: "layerLabels", RTDOSE: "layerDose", difference: "layerDifference" };

const NOTICE_MS = 150;

/** The values of a layer as they come; shared by all panes that show it. */
export class LayerModel {
  readonly info = signal<LayerInfo | null>(null);
  readonly error = signal<Error | null>(null);
  /** Changes when slices came. */
  readonly version = signal(0);
  readonly loading = signal(true);
  grid: Grid | null = null;
  inverse: Inverse | null = null;
  users = 0;
  private arrays: (Int16Array | undefined)[][] = [];
  private readonly stop = new AbortController();
  private notice = 0;

  constructor(
    readonly series: SeriesModel,
    readonly id: string,
  ) {
    void this.open();
  }

  async open(): Promise<void> {
    const { study, series, choice } = this.series;
    this.error.value = null;
    this.loading.value = true;
    try {
      const info = (this.info.value = await layerInfo(study, series, choice, this.id));
      const affine = info.affine ? affineFromRows(info.affine) : null;
      this.inverse = affine && invert(affine);
      this.grid = affine && this.inverse && { affine, shape: info.shape };
      this.arrays = Array.from({ length: info.arrays }, () => []);
      for (let array = 0; array < info.arrays; array++) {
        await layerSlices(study, series, choice, info, array, this.series.slices?.looked ?? 0, this.stop.signal, (index, values) => {
          this.arrays[array]![index] = values;
          this.notice ||= window.setTimeout(() => this.tell(), NOTICE_MS);
        });
      }
    } catch (error) {
      if (!this.stop.signal.aborted) this.error.value = error instanceof Error ? error : new Error(String(error));
    }
    this.loading.value = false;
    this.tell();
  }

  private tell(): void {
    clearTimeout(this.notice);
    this.notice = 0;
    this.version.value += 1;
  }

  get count(): number {
    return this.arrays.length;
  }

  slice(array: number, index: number): Int16Array | undefined {
    return this.arrays[array]?.[index];
  }

  /** The labels at a voxel of the series, by their index. */
  labelsAt([slice, row, column]: Vec3): number[] {
    const columns = this.info.value?.shape[2] ?? 0;
    return this.arrays.map((array) => array[slice]?.[row * columns + column] ?? 0).filter((label) => label > 0);
  }

  /** The value at a voxel of the series, or at a place where it has a grid of its own; null outside. */
  valueAt(index: Vec3, lps: Vec3 | null): number | null {
    const info = this.info.value;
    if (!info) return null;
    if (isDifference(this.id)) {
      const value = this.arrays[0]?.[index[0]]?.[index[1] * info.shape[2] + index[2]];
      return value === undefined ? null : value * info.scale;
    }
    if (!this.grid || !lps) return null;
    const raster = { width: 1, height: 1, origin: lps, across: [1, 0, 0], down: [0, 1, 0], placed: true } as const;
    const [value] = samplePlane(this.grid, (k) => this.slice(0, k), raster, { linear: true, slab: { mode: "mip", thickness: 0 } });
    return value === undefined || value === OUTSIDE ? null : value * info.scale;
  }

  /** The voxel of the layer in which a place lies. */
  voxelAt(lps: Vec3): Vec3 | null {
    return this.inverse && toIndex(this.inverse, lps);
  }

  close(): void {
    this.stop.abort();
    clearTimeout(this.notice);
    this.arrays = [];
  }
}

export type FillMode = "fill" | "outline" | "both";
export const FILL_MODES: readonly FillMode[] = ["both", "fill", "outline"];

/** HU up to which a difference is told apart, unless it is chosen. */
const REACH = 200;
/** Share of the largest dose below which nothing is drawn, unless it is chosen. */
const LEAST_DOSE = 0.05;

/** A layer as one pane draws it. */
export class PaneLayer {
  readonly visible = signal(true);
  readonly opacity: ReturnType<typeof signal<number>>;
  readonly mode = signal<FillMode>("both");
  /** Colours and visibility that were chosen, by segment index. */
  readonly chosen = signal<ReadonlyMap<number, Partial<LabelStyle>>>(new Map());
  /** Values between which colours run, where they were chosen. */
  readonly chosenRange = signal<readonly [number, number] | null>(null);
  readonly styles = computed<ReadonlyMap<number, LabelStyle>>(
    () => new Map(this.model.info.value?.segments.map(({ index, colour }) => [index, { colour, visible: true, ...this.chosen.value.get(index) }])),
  );
  readonly range = computed<readonly [number, number]>(() => this.chosenRange.value ?? this.ownRange());
  readonly palette = computed(() => {
    const { scale } = this.model.info.value ?? { scale: 1 };
    const [low, high] = this.range.value;
    if (this.kind === "difference") return differencePalette(scale, high, this.opacity.value!);
    if (this.kind === "RTDOSE") return washPalette(scale, low, high, this.opacity.value!);
    return labelPalette(this.styles.value, this.mode.value === "outline" ? 0 : this.opacity.value!);
  });

  constructor(
    readonly model: LayerModel,
    readonly kind: LayerKind,
    /** "" until the list of what there is came. */
    public name: string,
  ) {
    this.opacity = signal(kind === "difference" ? 1 : 0.4);
  }

  get id(): string {
    return this.model.id;
  }

  get hasLabels(): boolean {
    return this.kind !== "difference" && this.kind !== "RTDOSE";
  }

  private ownRange(): [number, number] {
    const [low, high] = this.model.info.value?.range ?? [0, 1];
    if (this.kind === "RTDOSE") return [+(high * LEAST_DOSE).toPrecision(2), +high.toPrecision(3)];
    const reach = Math.min(REACH, Math.max(Math.abs(low), Math.abs(high)) || 1);
    return [-reach, reach];
  }

  restyle(index: number, style: Partial<LabelStyle>): void {
    this.chosen.value = new Map(this.chosen.value).set(index, { ...this.chosen.value.get(index), ...style });
  }

  /** Touches every signal that drawing it depends on. */
  watch(): void {
    void [this.visible.value, this.palette.value, this.mode.value, this.styles.value, this.model.version.value];
  }
}

const open = new Map<string, LayerModel>();

function acquire(series: SeriesModel, id: string): LayerModel {
  const key = [series.study, series.series, series.choice.part, series.choice.phase, id].join("/");
  let model = open.get(key);
  if (!model) open.set(key, (model = new LayerModel(series, id)));
  model.users += 1;
  return model;
}

function release(model: LayerModel): void {
  model.users -= 1;
  if (model.users > 0) return;
  model.close();
  for (const [key, each] of open) if (each === model) open.delete(key);
}

/** The list of layers of a pane, in the order in which they are drawn. */
export class PaneLayers {
  /** What may be laid over the series; null until that was asked. */
  readonly found = signal<readonly Listed[] | null>(null);
  readonly error = signal<Error | null>(null);
  readonly shown = signal<readonly PaneLayer[]>([]);
  private asked = false;
  private readonly stop: () => void;

  constructor(private readonly series: SeriesModel) {
    // Only once all slices are there: the picture comes first.
    this.stop = effect(() => {
      void this.series.version.value;
      if (this.series.slices?.complete) void this.ask();
    });
  }

  async ask(): Promise<void> {
    if (this.asked) return;
    this.asked = true;
    try {
      this.found.value = await layersOf(this.series.study, this.series.series, this.series.choice);
      for (const each of this.shown.peek()) each.name ||= this.nameOf(each.id);
    } catch (error) {
      this.error.value = error instanceof Error ? error : new Error(String(error));
    }
  }

  nameOf(id: string): string {
    return this.found.peek()?.find((each) => each.id === id)?.name ?? "";
  }

  get(id: string): PaneLayer | undefined {
    return this.shown.value.find((each) => each.id === id);
  }

  add(id: string, kind: LayerKind, name: string): PaneLayer {
    const there = this.shown.peek().find((each) => each.id === id);
    if (there) return there;
    const layer = new PaneLayer(acquire(this.series, id), kind, name);
    this.shown.value = [...this.shown.peek(), layer];
    return layer;
  }

  remove(layer: PaneLayer): void {
    this.shown.value = this.shown.peek().filter((each) => each !== layer);
    release(layer.model);
  }

  toggle(listed: Listed): void {
    const there = this.shown.peek().find((each) => each.id === listed.id);
    if (there) this.remove(there);
    else this.add(listed.id, listed.kind, listed.name);
  }

  /** All of them off, or all on again. */
  toggleAll(): void {
    const any = this.shown.value.some((each) => each.visible.value);
    batch(() => this.shown.value.forEach((each) => (each.visible.value = !any)));
  }

  watch(): void {
    for (const each of this.shown.value) each.watch();
  }

  close(): void {
    this.stop();
    for (const each of this.shown.peek()) release(each.model);
  }
}

export type { Rgb };
