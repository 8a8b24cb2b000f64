// A series that is looked at: what the server said of it, its slices as they come, its value counts.

import { computed, signal } from "@preact/signals";
import { affineFromRows, invert, toLps, type Affine, type Inverse } from "../volume/affine";
import { ValueCounts } from "../volume/histogram";
import { isUpright, sliceRaster, type Grid } from "../volume/planes";
import type { Raster } from "../volume/raster";
import { CACHE_BYTES, Slices } from "../volume/slices";
import { scale, type Vec3 } from "../volume/vector";
import { ANY, isHounsfield, seriesInfo, type Choice, type SeriesInfo } from "../wire/info";
import { instancesOf, type Instance } from "../wire/lists";
import { pictureFrames, type PictureFrame } from "../wire/pictures";
import { physicsOf, type Physics } from "../wire/plausibility";
import { sliceSource, type SliceCounts } from "../wire/slice_source";

/** Between two notices of slices that came: drawing each would take the time that fetching them needs. */
const NOTICE_MS = 150;

export class SeriesModel {
  readonly info = signal<SeriesInfo | null>(null);
  readonly error = signal<Error | null>(null);
  /** What physics says of the numbers; null until it is known, and for another unit. */
  readonly physics = signal<Physics | null>(null);
  /** Changes whenever a slice came or failed. */
  readonly version = signal(0);
  /** Rendered pictures, for a series whose values the server does not send. */
  readonly pictures = signal<readonly PictureFrame[] | null>(null);
  /** Objects without pixels: reports, structures, files within files. */
  readonly documents = signal<readonly Instance[] | null>(null);
  /** Frames a second that the file asks for. */
  readonly ownRate = computed(() => this.pictures.value?.[0]?.rate ?? null);
  readonly counts = new ValueCounts();
  /** What was done to the voxels of each slice that came. */
  readonly treated = new Map<number, SliceCounts>();
  slices: Slices | null = null;
  affine: Affine | null = null;
  inverse: Inverse | null = null;
  users = 0;
  private notice = 0;

  constructor(
    readonly study: string,
    readonly series: string,
    private readonly start: number | null,
    readonly choice: Choice = ANY,
  ) {
    void this.open();
  }

  async open(): Promise<void> {
    this.error.value = null;
    try {
      let info = await seriesInfo(this.study, this.series, this.choice);
      // The server says nothing of what is no volume: whose pictures they are stands in the list.
      if (!info.shape) info = { ...info, header: { ...(await this.findPictures())?.header, ...info.header } };
      else this.begin(info, info.shape);
      this.info.value = info;
      if (info.shape && isHounsfield(info.unit)) void this.askPhysics();
    } catch (error) {
      this.error.value = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Without an answer the badge says what headers say. */
  private async askPhysics(): Promise<void> {
    this.physics.value = await physicsOf(this.study, this.series, this.choice).catch(() => null);
  }

  /** The pictures of a series without values, else what it has in their place; the first of either. */
  private async findPictures(): Promise<{ readonly header: Readonly<Record<string, string>> } | undefined> {
    const instances = await instancesOf(this.study, this.series);
    const pictures = pictureFrames(this.study, this.series, instances);
    if (pictures.length || !instances.length) this.pictures.value = pictures;
    else this.documents.value = instances;
    return pictures[0] ?? instances[0];
  }

  private begin(info: SeriesInfo, shape: Vec3): void {
    this.affine = info.affine ? affineFromRows(info.affine) : null;
    this.inverse = this.affine ? invert(this.affine) : null;
    const source = sliceSource(this.study, this.series, this.choice, shape[1], shape[2], (index, counts) => this.treated.set(index, counts));
    const first = Math.min(this.start ?? Math.floor(shape[0] / 2), shape[0] - 1);
    this.slices = new Slices(shape[0], shape[1] * shape[2] * 2, source.one, first, CACHE_BYTES, source.many);
    this.slices.subscribe((index) => this.came(index));
  }

  /** Tells of slices that came: at once of the one looked at and of the last, of the others now and then. */
  private came(index: number): void {
    const slices = this.slices!;
    const { held, failed } = slices.progress;
    const done = held + failed.size >= Math.min(slices.count, slices.capacity);
    if (!done && !slices.isLookedAt(index)) {
      this.notice ||= window.setTimeout(() => this.tell(), NOTICE_MS);
      return;
    }
    this.tell();
  }

  private tell(): void {
    clearTimeout(this.notice);
    this.notice = 0;
    this.version.value += 1;
  }

  /** Asks again for the slices that could not be read. */
  retry(): void {
    this.slices?.retry();
    this.tell();
  }

  get count(): number {
    return this.info.value?.shape?.[0] ?? this.pictures.value?.length ?? this.documents.value?.length ?? 0;
  }

  get grid(): Grid | null {
    const shape = this.info.value?.shape;
    return this.affine && this.inverse && shape ? { affine: this.affine, shape } : null;
  }

  /** A grid of one slice has no planes, nor has one that the server calls no grid. */
  get hasPlanes(): boolean {
    const info = this.info.value;
    return !!this.grid && this.count > 1 && (info?.verdict === "regular" || info?.verdict === "sheared");
  }

  get upright(): boolean {
    return !this.affine || isUpright(this.affine);
  }

  /** Where slice `index` lies, by its own position where the server gives one. */
  raster(index: number): Raster | null {
    const info = this.info.value;
    const frame = this.pictures.value?.[index];
    if (frame) return { width: frame.columns, height: frame.rows, origin: [0, 0, 0], across: [1, 0, 0], down: [0, 1, 0], placed: false };
    if (!info?.shape) return null;
    const position = info.slices[index]?.position ?? null;
    if (this.affine) return sliceRaster(this.affine, info.shape, index, position ?? undefined);
    const [row, column] = info.pixelSpacing ?? [1, 1];
    const [along, downwards] = [info.orientation?.slice(0, 3), info.orientation?.slice(3)] as unknown as [Vec3, Vec3];
    const placed = !!position && !!info.orientation && !!info.pixelSpacing;
    return {
      width: info.shape[2],
      height: info.shape[1],
      origin: position ?? [0, 0, 0],
      across: placed ? scale(along, column) : [column, 0, 0],
      down: placed ? scale(downwards, row) : [0, row, 0],
      placed,
    };
  }

  lps(index: Vec3): Vec3 | null {
    return this.affine ? toLps(this.affine, index) : null;
  }

  /** Adds to the histogram the slices that came since. */
  countValues(most = Infinity): void {
    let added = 0;
    for (let k = 0; k < this.count && added < most; k++) {
      const values = this.slices?.get(k);
      if (values && this.counts.add(k, values)) added += 1;
    }
  }

  /** Sums over the slices that came. */
  get totals(): SliceCounts {
    const total = { padded: 0, clamped: 0, saturated: 0, rounded: 0 };
    for (const each of this.treated.values()) for (const key of ["padded", "clamped", "saturated", "rounded"] as const) total[key] += each[key];
    return total;
  }

  close(): void {
    clearTimeout(this.notice);
    this.slices?.close();
  }
}

const open = new Map<string, SeriesModel>();
const KEPT = 2;

/** The model of a series, shared by all panes that show it. */
export function acquire(study: string, series: string, start: number | null, choice: Choice = ANY): SeriesModel {
  const key = [study, series, choice.part, choice.phase].join("/");
  let model = open.get(key);
  if (!model) open.set(key, (model = new SeriesModel(study, series, start, choice)));
  open.delete(key);
  open.set(key, model);
  model.users += 1;
  return model;
}

/** Gives a model back; the last few unused ones stay, for a quick return. */
export function release(model: SeriesModel): void {
  model.users -= 1;
  const idle = [...open.entries()].filter(([, each]) => each.users === 0);
  for (const [key, each] of idle.slice(0, Math.max(0, idle.length - KEPT))) {
    each.close();
    open.delete(key);
  }
}
