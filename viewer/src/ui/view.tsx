// One picture on the screen: two canvases (pixels below, lines above), redrawn when what they show changes.

import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { begin, crossHandles, drawCrosshair, drawHandles, drawLetters, drawMeasurement, drawScaleBar } from "../render/overlay";
import { fitCanvas, Picture } from "../render/picture";
import { poseMatrix, toRaster, type Matrix, type Pane } from "../render/pose";
import type { Measurement } from "../tools/measurements";
import { isKind, toolOf } from "../tools/registry";
import { crossLines } from "./turning";
import { isVisible, lines, pointsOn, visible } from "./measuring";
import { attachGestures } from "./gestures";
import { LayerDrawing } from "./layer_drawing";
import { interaction, type ViewPort } from "./interaction";
import type { PaneState, ViewName } from "./pane_state";
import { PictureLoader } from "./picture_loader";
import { readout } from "./readout";
import { chosen, measurements, tool } from "./session";
import { words } from "./settings";
import { ViewValues } from "./view_values";
import type { Point, Raster } from "../volume/raster";

/** Everything a view draws and answers, without the framework's help between frames. */
export class ViewDrawing implements ViewPort {
  readonly values: ViewValues;
  private readonly picture = new Picture();
  private readonly layers = new LayerDrawing();
  private readonly loader = new PictureLoader(() => this.schedule());
  private size: Pane = { width: 0, height: 0 };
  private draft: Measurement | null = null;
  private frame = 0;
  private latest: Matrix | null = null;
  private read: Point | null = null;
  drawn = 0;
  /** Ends what is being drawn on it; whether there was something. */
  abandon: () => boolean = () => false;

  constructor(
    pane: PaneState,
    view: ViewName,
    private readonly below: HTMLCanvasElement,
    private readonly above: HTMLCanvasElement,
  ) {
    this.values = new ViewValues(pane, view, () => this.schedule());
  }

  matrix = (): Matrix | null => this.latest;
  pane = (): Pane => this.size;

  showDraft(item: Measurement | null): void {
    this.draft = item;
    this.schedule();
  }

  graspable(near: boolean): void {
    this.below.parentElement!.toggleAttribute("data-graspable", near);
  }

  hovered(at: Point | null): void {
    // What was read last stays when the pointer or finger leaves, to be looked at, copied and clicked.
    const point = at && this.latest ? toRaster(this.latest, at) : this.read;
    if (point && this.values.voxelAt(point)) this.read = point;
    readout.value = point && { view: this.values, point };
  }

  resize(width: number, height: number): void {
    this.size = { width, height };
    this.schedule();
  }

  /** Touches every signal that the drawing depends on; run inside an effect. */
  watch(): void {
    const { pane, view } = this.values;
    void [pane.model.info.value, pane.slice.value, pane.poses.value[view], pane.smooth.value];
    // A slice that is there does not change when others come.
    if (view !== "stack" || !pane.model.slices?.get(pane.slice.value)) void pane.model.version.value;
    void [pane.palette.value, pane.cross.value, pane.axes.value, pane.slab.value, pane.layout.value];
    pane.layers.watch();
    void [measurements.value, chosen.value, words.value, tool.value];
    this.schedule();
  }

  schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    if (readout.peek()?.view === this.values) readout.value = null;
    this.loader.close();
    this.values.close();
  }

  private draw(): void {
    if (!this.size.width || !this.size.height) return;
    fitCanvas(this.below, this.size.width, this.size.height, devicePixelRatio);
    fitCanvas(this.above, this.size.width, this.size.height, devicePixelRatio);
    this.values.refresh();
    const over = begin(this.above, devicePixelRatio);
    const context = this.below.getContext("2d", { alpha: false })!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.below.width, this.below.height);
    const { raster } = this.values;
    let shown = false;
    if (raster) {
      this.latest = poseMatrix(this.values.pane.poses.peek()[this.values.view], raster, this.size);
      shown = this.drawPixels(context, raster, this.latest);
      if (shown) this.layers.draw(context, this.values, this.latest, devicePixelRatio);
      this.drawOver(over, this.latest);
    }
    if (shown) this.below.dataset["drawn"] = String(++this.drawn);
    // For those who do not see it: the picture is not yet the one that was asked for.
    this.below.parentElement!.ariaBusy = shown && !this.values.coarse ? null : "true";
  }

  /** Whether it is what the pane asks for: until that came, nothing or the picture before it is drawn. */
  private drawPixels(context: CanvasRenderingContext2D, raster: Raster, matrix: Matrix): boolean {
    const { pane, view, values, stamp } = this.values;
    if (!values) return pane.model.pictures.peek() !== null && this.loader.draw(context, pane, matrix, devicePixelRatio, raster);
    const palette = (view === "stack" ? pane.palette : pane.planePalette).value;
    this.picture.paint(values, raster.width, raster.height, palette, stamp);
    this.picture.draw(context, matrix, devicePixelRatio, pane.smooth.peek());
    return true;
  }

  /** What stands beside a measurement; a region on a slab says that it is of the thin plane. */
  private linesOf(item: Measurement): string[] {
    const { pane, view } = this.values;
    const slab = view !== "stack" && pane.slab.peek().thickness > 0 && item.statistics !== null;
    return slab ? [...lines(item, words.peek()), words.peek().slabThin] : lines(item, words.peek());
  }

  private drawOver(over: CanvasRenderingContext2D, matrix: Matrix): void {
    const { pane, view, raster } = this.values;
    if (!raster) return;
    drawScaleBar(over, raster, matrix, this.size);
    const cross = pane.cross.peek();
    if (cross && raster.placed && (view !== "stack" || tool.peek() === "crosshair")) {
      const lines = crossLines(this.values);
      drawCrosshair(over, raster, matrix, cross, lines);
      if (view !== "stack" && tool.peek() === "crosshair") drawHandles(over, crossHandles(raster, matrix, cross, lines, this.size));
    }
    drawLetters(over, raster, matrix, this.size);
    const items = visible(this.values).filter((item) => item.id !== this.draft?.id);
    const draft = this.draft && isKind(tool.peek()) && isVisible(this.draft, this.values) ? [this.draft] : [];
    for (const item of [...items, ...draft]) {
      const { outline, strokes } = toolOf(item.kind);
      const points = pointsOn(item, raster, view);
      const drawing = { points, outline: outline(points), handles: strokes !== "trail", lines: this.linesOf(item), chosen: item.id === chosen.peek() };
      drawMeasurement(over, drawing, matrix, this.size);
    }
  }
}

/** Views by pane and name, for what reads pixels (PNG, tests). */
export const drawings = new Map<string, ViewDrawing>();

export function View({ pane, view }: { pane: PaneState; view: ViewName }) {
  const element = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const [key] = useState(() => `${pane.id}/${view}`);
  useEffect(() => {
    const drawing = new ViewDrawing(pane, view, below.current!, above.current!);
    drawings.set(key, drawing);
    const watcher = new ResizeObserver(([entry]) => drawing.resize(entry!.contentRect.width, entry!.contentRect.height));
    watcher.observe(element.current!);
    const handlers = interaction(drawing);
    drawing.abandon = handlers.abandon;
    const detach = attachGestures(element.current!, handlers);
    const stop = effect(() => drawing.watch());
    return () => {
      stop();
      detach();
      watcher.disconnect();
      drawing.close();
      drawings.delete(key);
    };
  }, [pane, view]);
  const name = view === "stack" ? words.value.mainImage : words.value[view];
  return (
    <div class={`view tool-${tool.value}`} ref={element} tabIndex={0} role="img" aria-label={name} data-view={view} data-pane={pane.id}>
      <canvas class="pixels" ref={below} />
      <canvas class="lines" ref={above} />
    </div>
  );
}
