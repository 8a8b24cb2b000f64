// How often each value occurs, with the window's edges on it: drag them, or use the arrow keys.

import { useEffect, useRef } from "preact/hooks";
import type { Histogram } from "../volume/histogram";
import type { PaneState } from "./pane_state";
import { minus } from "./chain";
import { words } from "./settings";

const WIDTH = 288;
const HEIGHT = 96;

export function HistogramPlot({ pane, histogram }: { pane: PaneState; histogram: Histogram }) {
  const w = words.value;
  const canvas = useRef<HTMLCanvasElement>(null);
  const window = pane.window.value;
  const threshold = pane.threshold.value;
  const span = histogram.binWidth * histogram.counts.length;
  const [low, high] = [window.center - window.width / 2, window.center + window.width / 2];
  const share = (value: number): number => Math.min(1, Math.max(0, (value - histogram.low) / span));
  useEffect(() => paint(canvas.current!, histogram, share, low, high, threshold));
  const setEdges = (a: number, b: number): void => {
    const [from, to] = [Math.round(Math.min(a, b - 1)), Math.round(Math.max(b, a + 1))];
    pane.chosenWindow.value = { center: (from + to) / 2, width: to - from };
  };
  const edge = (name: string, value: number, move: (to: number) => void) => (
    <Edge name={name} value={value} share={share(value)} least={histogram.low} most={histogram.low + span} move={move} />
  );
  return (
    <div class="histogram">
      <canvas ref={canvas} width={WIDTH * 2} height={HEIGHT * 2} role="img" aria-label={w.histogram} />
      {edge(w.lowEdge, low, (to) => setEdges(Math.min(to, high - 1), high))}
      {edge(w.highEdge, high, (to) => setEdges(low, Math.max(to, low + 1)))}
      <div class="axis">
        <span>{minus(histogram.low)}</span>
        <span>{minus(histogram.low + span - 1)}</span>
      </div>
    </div>
  );
}

interface EdgeProps {
  readonly name: string;
  readonly value: number;
  readonly share: number;
  readonly least: number;
  readonly most: number;
  readonly move: (to: number) => void;
}

function Edge({ name, value, share, least, most, move }: EdgeProps) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Set through the style object: a style attribute in markup is refused by the page's policy.
    element.current!.style.left = `${share * 100}%`;
  });
  const drag = (event: PointerEvent): void => {
    if (!event.buttons) return;
    const box = element.current!.parentElement!.getBoundingClientRect();
    move(least + ((event.clientX - box.left) / box.width) * (most - least));
  };
  const press = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -10, ArrowUp: 10 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    move(value + step);
  };
  return (
    <div
      class="edge"
      ref={element}
      role="slider"
      tabIndex={0}
      aria-label={name}
      aria-valuenow={Math.round(value)}
      aria-valuemin={least}
      aria-valuemax={most}
      title={name}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={drag}
      onKeyDown={press}
    />
  );
}

function paint(canvas: HTMLCanvasElement, histogram: Histogram, share: (value: number) => number, low: number, high: number, threshold: { low: number; high: number } | null): void {
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.fillStyle = style.getPropertyValue("--window");
  context.fillRect(share(low) * width, 0, Math.max(2, (share(high) - share(low)) * width), height);
  // Logarithmic: air and padding would flatten everything else.
  const tallest = Math.log1p(histogram.counts.reduce((most, count) => Math.max(most, count), 1));
  const bar = width / histogram.counts.length;
  histogram.counts.forEach((count, bin) => {
    const value = histogram.low + bin * histogram.binWidth;
    const marked = threshold && value + histogram.binWidth > threshold.low && value <= threshold.high;
    context.fillStyle = style.getPropertyValue(marked ? "--mark" : "--bars");
    const tall = (Math.log1p(count) / tallest) * (height - 4);
    context.fillRect(bin * bar, height - tall, Math.max(1, bar - 0.5), tall);
  });
}
