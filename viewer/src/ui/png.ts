// What is on the screen as a PNG: all views of a pane, pixels and lines.

import type { PaneState } from "./pane_state";

export async function savePng(pane: PaneState): Promise<void> {
  const blob = await pngOf(pane);
  if (blob) saveAs(blob, `${pane.model.series}-${pane.slice.value + 1}.png`);
}

export async function pngOf(pane: PaneState): Promise<Blob | null> {
  const elements = [...document.querySelectorAll<HTMLElement>(`[data-pane="${pane.id}"]`)];
  if (!elements.length) return null;
  const boxes = elements.map((element) => element.getBoundingClientRect());
  const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))];
  const ratio = devicePixelRatio;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((Math.max(...boxes.map((box) => box.right)) - left) * ratio);
  canvas.height = Math.round((Math.max(...boxes.map((box) => box.bottom)) - top) * ratio);
  const context = canvas.getContext("2d")!;
  elements.forEach((element, k) => {
    for (const part of element.querySelectorAll("canvas")) context.drawImage(part, Math.round((boxes[k]!.left - left) * ratio), Math.round((boxes[k]!.top - top) * ratio));
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

