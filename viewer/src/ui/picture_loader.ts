// Rendered pictures of a series without values: the one looked at, and a few that were.

import type { Matrix } from "../render/pose";
import type { Raster } from "../volume/raster";
import { picture } from "../wire/pictures";
import type { PaneState } from "./pane_state";

const KEPT = 64;

export class PictureLoader {
  private readonly bitmaps = new Map<string, ImageBitmap | null>();
  private last: ImageBitmap | null = null;

  constructor(private readonly came: () => void) {}

  /** Draws the picture of the pane's slice, or the last one until it came; whether it is that of the slice. */
  draw(context: CanvasRenderingContext2D, pane: PaneState, matrix: Matrix, ratio: number, raster: Raster): boolean {
    const frames = pane.model.pictures.peek() ?? [];
    const slice = pane.slice.peek();
    const bitmap = this.bitmap(frames[slice]?.address ?? "", pane);
    for (const near of [slice + 1, slice - 1, slice + 2]) if (frames[near]) this.bitmap(frames[near].address, pane);
    const shown = bitmap ?? this.last;
    if (!shown) return false;
    this.last = shown;
    context.setTransform(matrix.a * ratio, matrix.b * ratio, matrix.c * ratio, matrix.d * ratio, matrix.e * ratio, matrix.f * ratio);
    context.imageSmoothingEnabled = pane.smooth.peek();
    context.filter = pane.inverted.peek() ? "invert(1)" : "none";
    context.drawImage(shown, -0.5, -0.5, raster.width, raster.height);
    context.filter = "none";
    context.setTransform(1, 0, 0, 1, 0, 0);
    return bitmap !== null;
  }

  private bitmap(address: string, pane: PaneState): ImageBitmap | null {
    const window = pane.chosenWindow.peek();
    const key = `${address}?${window?.center},${window?.width}`;
    const held = this.bitmaps.get(key);
    if (held !== undefined || !address) return held ?? null;
    this.bitmaps.set(key, null);
    picture(address, window).then(
      (bitmap) => this.keep(key, bitmap),
      (error: unknown) => {
        this.bitmaps.delete(key);
        pane.model.error.value = error instanceof Error ? error : new Error(String(error));
      },
    );
    return null;
  }

  private keep(key: string, bitmap: ImageBitmap): void {
    this.bitmaps.set(key, bitmap);
    for (const [old, each] of this.bitmaps) {
      if (this.bitmaps.size <= KEPT) break;
      if (each === this.last) continue;
      each?.close();
      this.bitmaps.delete(old);
    }
    this.came();
  }

  close(): void {
    for (const bitmap of this.bitmaps.values()) bitmap?.close();
    this.bitmaps.clear();
  }
}
