// How often each value occurs, and how much of the volume lies between two of them.

export interface Histogram {
  readonly low: number;
  readonly binWidth: number;
  readonly counts: Uint32Array;
}

/** Counts of whole values −32768 … 32767 over the slices that are there. */
export class ValueCounts {
  private readonly counts = new Uint32Array(65536);
  private readonly seen = new Set<number>();

  /** False when this slice was counted before. */
  add(index: number, values: Int16Array): boolean {
    if (this.seen.has(index)) return false;
    this.seen.add(index);
    const counts = this.counts;
    for (let i = 0; i < values.length; i++) counts[values[i]! + 32768]! += 1;
    return true;
  }

  /** Voxels with low ≤ value ≤ high. */
  between(low: number, high: number): number {
    let sum = 0;
    const last = Math.min(Math.floor(high), 32767) + 32768;
    for (let i = Math.max(Math.ceil(low), -32768) + 32768; i <= last; i++) sum += this.counts[i]!;
    return sum;
  }

  get slices(): number {
    return this.seen.size;
  }

  get range(): [number, number] {
    let low = 0;
    let high = 65535;
    while (low < 65535 && !this.counts[low]) low++;
    while (high > low && !this.counts[high]) high--;
    return this.counts[low] ? [low - 32768, high - 32768] : [0, 0];
  }

  /** In `bins` bins from the smallest value to the largest. */
  histogram(bins: number): Histogram {
    const [low, high] = this.range;
    const binWidth = Math.max(1, Math.ceil((high - low + 1) / bins));
    const counts = new Uint32Array(Math.ceil((high - low + 1) / binWidth));
    for (let value = low; value <= high; value++) counts[Math.floor((value - low) / binWidth)]! += this.counts[value + 32768]!;
    return { low, binWidth, counts };
  }
}
