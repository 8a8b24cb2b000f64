// Outlines of labels along the edges of their pixels: exact at any zoom.

import type { Matrix } from "./pose";

/** Label → lines in raster coordinates (pixel centres at whole numbers), as x0, y0, x1, y1 one after another. */
export type Outlines = ReadonlyMap<number, readonly number[]>;

/** The edges of every label in a raster of `width` columns: where a pixel's neighbour has another label. */
export function labelOutlines(values: Int16Array, width: number): Outlines {
  const found = new Map<number, number[]>();
  const height = values.length / width;
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x]!);
  horizontal(found, at, width, height, (a, b, y) => [a, y, b, y]);
  horizontal(found, (y, x) => at(x, y), height, width, (a, b, x) => [x, a, x, b]);
  return found;
}

/** Lines along one axis, as long as the same label runs on on the same side of them. */
function horizontal(found: Map<number, number[]>, at: (along: number, across: number) => number, length: number, breadth: number, line: (from: number, to: number, across: number) => number[]): void {
  for (let across = 0; across <= breadth; across++) {
    for (const side of [0, -1]) {
      let begun = 0;
      let label = 0;
      for (let along = 0; along <= length; along++) {
        const here = along < length ? at(along, across + side) : 0;
        const edge = here > 0 && here !== at(along, across - 1 - side) ? here : 0;
        if (edge === label) continue;
        if (label) {
          let lines = found.get(label);
          if (!lines) found.set(label, (lines = []));
          lines.push(...line(begun - 0.5, along - 0.5, across - 0.5));
        }
        [begun, label] = [along, edge];
      }
    }
  }
}

/** Strokes lines of a raster that lies by `matrix`, `ratio` device pixels to a CSS pixel. */
export function strokeLines(context: CanvasRenderingContext2D, lines: readonly number[], matrix: Matrix, ratio: number, colour: string, width: number): void {
  const { a, b, c, d, e, f } = matrix;
  context.beginPath();
  for (let k = 0; k < lines.length; k += 4) {
    const [x0, y0, x1, y1] = [lines[k]!, lines[k + 1]!, lines[k + 2]!, lines[k + 3]!];
    context.moveTo((a * x0 + c * y0 + e) * ratio, (b * x0 + d * y0 + f) * ratio);
    context.lineTo((a * x1 + c * y1 + e) * ratio, (b * x1 + d * y1 + f) * ratio);
  }
  context.lineCap = "square";
  context.lineWidth = width * ratio;
  context.strokeStyle = colour;
  context.stroke();
}
