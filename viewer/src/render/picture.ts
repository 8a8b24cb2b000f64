// Values → pixels on a canvas: through the palette once, then laid by the pose.

import type { Matrix } from "./pose";

/** One raster of values as a bitmap, repainted only when values or palette change. */
export class Picture {
  private readonly canvas = document.createElement("canvas");
  private image: ImageData | null = null;
  private values: Int16Array | null = null;
  private palette: Uint32Array | null = null;
  private stamp = -1;

  /** `stamp` changes when the values were overwritten in place. */
  paint(values: Int16Array, width: number, height: number, palette: Uint32Array, stamp = 0): void {
    const same = this.image?.width === width && this.image.height === height;
    if (same && values === this.values && palette === this.palette && stamp === this.stamp) return;
    const context = this.context(width, height);
    const image = (this.image = same && this.image ? this.image : context.createImageData(width, height));
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = palette[values[i]! & 0xffff]!;
    context.putImageData(image, 0, 0);
    [this.values, this.palette, this.stamp] = [values, palette, stamp];
  }

  /** Lays the bitmap on `target`, whose device pixels are `ratio` to a CSS pixel. */
  draw(target: CanvasRenderingContext2D, matrix: Matrix, ratio: number, smooth: boolean): void {
    if (!this.image) return;
    target.setTransform(matrix.a * ratio, matrix.b * ratio, matrix.c * ratio, matrix.d * ratio, matrix.e * ratio, matrix.f * ratio);
    target.imageSmoothingEnabled = smooth;
    target.drawImage(this.canvas, -0.5, -0.5);
    target.setTransform(1, 0, 0, 1, 0, 0);
  }

  private context(width: number, height: number): CanvasRenderingContext2D {
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    return this.canvas.getContext("2d", { willReadFrequently: true })!;
  }
}

/** Gives a canvas as many device pixels as it covers; true when its size changed. */
export function fitCanvas(canvas: HTMLCanvasElement, width: number, height: number, ratio: number): boolean {
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width === w && canvas.height === h) return false;
  canvas.width = w;
  canvas.height = h;
  return true;
}
