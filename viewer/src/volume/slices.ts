// The slices of a series in memory: fetched outwards from the one looked at, kept up to a limit of bytes.
// Knows nothing of HTTP: a `Fetch` gives the values of one slice, or rejects.

import { outwards } from "./order";

export type SliceValues = Int16Array;
export type Fetch = (index: number, signal: AbortSignal) => Promise<SliceValues>;

/** At most `most` slices in one go, from `from` outwards; each, or why it did not come. Rejects where it breaks off. */
export type Stream = (from: number, most: number, take: (index: number, came: SliceValues | Error) => void, signal: AbortSignal) => Promise<void>;

export interface Progress {
  readonly held: number;
  readonly count: number;
  readonly failed: ReadonlyMap<number, Error>;
}

export const CACHE_BYTES = 1_200_000_000;
/** A browser has six lines to a server: one stays free for the slice that somebody goes to. */
const AT_ONCE = 5;
const URGENT = 2;
const ATTEMPTS = 2;
/** Fewer than these are as quick one by one. */
const WORTH_STREAMING = 4;

export class Slices {
  private readonly values: (SliceValues | undefined)[];
  private readonly running = new Map<number, AbortController>();
  private readonly errors = new Map<number, Error>();
  private readonly attempts = new Map<number, number>();
  private readonly listeners = new Set<(index: number) => void>();
  private queue: number[];
  private centre: number;
  private held = 0;
  private closed = false;
  /** The answer of many slices while it comes; none is asked for twice. */
  private streaming: AbortController | null = null;
  private streamed = false;
  /** How many slices fit the limit. */
  readonly capacity: number;

  constructor(
    readonly count: number,
    bytesPerSlice: number,
    private readonly fetch: Fetch,
    start = Math.floor(count / 2),
    limit = CACHE_BYTES,
    private readonly stream: Stream | null = null,
  ) {
    this.values = new Array<SliceValues | undefined>(count);
    this.capacity = Math.max(3, Math.min(count, Math.floor(limit / Math.max(1, bytesPerSlice))));
    this.centre = start;
    this.queue = outwards(count, start).slice(0, this.capacity);
    this.pump();
  }

  get(index: number): SliceValues | undefined {
    return this.values[index];
  }

  /** The slice now looked at. */
  get looked(): number {
    return this.centre;
  }

  /** Whether `index` is the slice now looked at. */
  isLookedAt(index: number): boolean {
    return index === this.centre;
  }

  get progress(): Progress {
    return { held: this.held, count: this.count, failed: this.errors };
  }

  get complete(): boolean {
    return this.held === this.count;
  }

  /** Called with the index of each slice that came, or that failed. */
  subscribe(listener: (index: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The slice now looked at: it is fetched next, then its neighbours; what lies farthest makes room. */
  look(index: number): void {
    if (index === this.centre && this.queue.length === 0) return;
    this.centre = index;
    this.queue = this.wanted();
    // It does not wait for those that are on their way already.
    if (this.queue[0] === index && this.running.size < AT_ONCE + URGENT) void this.bring(this.queue.shift()!);
    this.pump();
  }

  /** Try again what failed. */
  retry(): void {
    this.errors.clear();
    this.attempts.clear();
    const centre = this.centre;
    this.centre = -1;
    this.look(centre);
  }

  close(): void {
    this.closed = true;
    for (const controller of this.running.values()) controller.abort();
    this.streaming?.abort();
    this.listeners.clear();
    this.values.length = 0;
  }

  private pump(): void {
    if (this.streaming) return;
    if (this.stream && !this.streamed && this.held && this.queue.length >= WORTH_STREAMING) {
      void this.bringAll(this.stream);
      return;
    }
    // The first slice has the line to itself: it is what somebody waits for.
    const most = this.held || this.errors.size ? AT_ONCE : 1;
    while (!this.closed && this.running.size < most && this.queue.length) {
      const index = this.queue.shift()!;
      if (!this.values[index] && !this.running.has(index)) void this.bring(index);
    }
  }

  /** All that are wanted, in one go; what does not come in it is fetched one by one. */
  private async bringAll(stream: Stream): Promise<void> {
    this.streamed = true;
    this.streaming = new AbortController();
    const take = (index: number, came: SliceValues | Error): void => {
      if (this.closed || this.values[index] || !(index < this.count)) return;
      if (came instanceof Error) this.fail(index, came);
      else this.keep(index, came);
      for (const listener of this.listeners) listener(index);
    };
    await stream(this.centre, this.capacity, take, this.streaming.signal).catch(() => undefined);
    this.streaming = null;
    if (this.closed) return;
    this.queue = this.wanted();
    this.pump();
  }

  private wanted(): number[] {
    const near = outwards(this.count, this.centre).slice(0, this.capacity);
    return near.filter((k) => !this.values[k] && !this.running.has(k) && !this.errors.has(k));
  }

  private async bring(index: number): Promise<void> {
    const controller = new AbortController();
    this.running.set(index, controller);
    try {
      const values = await this.fetch(index, controller.signal);
      if (this.closed) return;
      this.keep(index, values);
    } catch (error) {
      if (this.closed) return;
      this.fail(index, error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.running.delete(index);
      if (!this.closed) this.pump();
    }
    for (const listener of this.listeners) listener(index);
  }

  private keep(index: number, values: SliceValues): void {
    if (this.values[index]) return;
    this.values[index] = values;
    this.held += 1;
    while (this.held > this.capacity) {
      let farthest = -1;
      for (let k = 0; k < this.count; k++) {
        if (this.values[k] && (farthest < 0 || Math.abs(k - this.centre) > Math.abs(farthest - this.centre))) farthest = k;
      }
      this.values[farthest] = undefined;
      this.held -= 1;
    }
  }

  private fail(index: number, error: Error): void {
    const tried = (this.attempts.get(index) ?? 0) + 1;
    this.attempts.set(index, tried);
    if (tried < ATTEMPTS) this.queue.push(index);
    else this.errors.set(index, error);
  }
}
