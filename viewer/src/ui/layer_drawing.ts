// Layers of a view on its canvas: each sampled onto the view's raster, through its palette, laid by the same pose.

import { labelOutlines, strokeLines, type Outlines } from "../render/label_outline";
import { Picture } from "../render/picture";
import type { Matrix } from "../render/pose";
import type { Raster } from "../volume/raster";
import { samplePlane } from "../volume/slab";
import type { PaneLayer } from "./layers";
import type { ViewValues } from "./view_values";

const THIN = { mode: "mip", thickness: 0 } as const;
const OUTLINE_WIDTH = 1.5;

/** One array of a layer on one raster. */
class Sampled {
  values: Int16Array | null = null;
  outlines: Outlines | null = null;
  readonly picture = new Picture();
  private key = "";
  private buffer: Int16Array | undefined;
  private stamp = 0;

  refresh(layer: PaneLayer, array: number, view: ViewValues, raster: Raster): void {
    const { model } = layer;
    const slice = view.pane.slice.peek();
    const own = view.view === "stack" && layer.kind !== "RTDOSE";
    const key = own ? `${slice}/${model.version.peek()}` : [...raster.origin, ...raster.across, ...raster.down, model.version.peek()].join();
    if (key === this.key) return;
    this.key = key;
    this.outlines = null;
    this.stamp += 1;
    if (own) this.values = model.slice(array, slice) ?? null;
    else if (!model.grid || !raster.placed) this.values = null;
    else this.buffer = this.values = samplePlane(model.grid, (k) => model.slice(array, k), raster, { linear: !layer.hasLabels, slab: THIN }, this.buffer);
  }

  paint(raster: Raster, palette: Uint32Array): void {
    this.picture.paint(this.values!, raster.width, raster.height, palette, this.stamp);
  }
}

export class LayerDrawing {
  private readonly sampled = new Map<string, Sampled>();

  draw(context: CanvasRenderingContext2D, view: ViewValues, matrix: Matrix, ratio: number): void {
    const { raster, pane } = view;
    const layers = pane.layers.shown.peek();
    if (!raster || !layers.length) {
      this.sampled.clear();
      return;
    }
    for (const layer of layers) {
      if (!layer.visible.peek() || !layer.model.info.peek()) continue;
      for (let array = 0; array < layer.model.count; array++) this.drawArray(context, layer, array, view, raster, matrix, ratio);
    }
  }

  private drawArray(context: CanvasRenderingContext2D, layer: PaneLayer, array: number, view: ViewValues, raster: Raster, matrix: Matrix, ratio: number): void {
    const key = `${layer.id}/${array}`;
    let sampled = this.sampled.get(key);
    if (!sampled) this.sampled.set(key, (sampled = new Sampled()));
    sampled.refresh(layer, array, view, raster);
    if (!sampled.values) return;
    if (!layer.hasLabels || layer.mode.peek() !== "outline") {
      sampled.paint(raster, layer.palette.peek());
      sampled.picture.draw(context, matrix, ratio, !layer.hasLabels && view.pane.smooth.peek());
    }
    if (!layer.hasLabels || layer.mode.peek() === "fill") return;
    sampled.outlines ??= labelOutlines(sampled.values, raster.width);
    for (const [label, lines] of sampled.outlines) {
      const style = layer.styles.peek().get(label);
      if (style?.visible) strokeLines(context, lines, matrix, ratio, `rgb(${style.colour.join()})`, OUTLINE_WIDTH);
    }
  }
}
