// The line of numbers: value with its chain of conversion, voxel, and place in the patient, under the pointer.

import { signal } from "@preact/signals";
import type { Point } from "../volume/raster";
import type { Vec3 } from "../volume/vector";
import { isHounsfield } from "../wire/info";
import { unitLabel } from "./measuring";
import { active, panel } from "./session";
import { words } from "./settings";
import { chain, minus } from "./chain";
import { sliceFacts } from "./slice_facts";
import type { ViewValues } from "./view_values";

export const readout = signal<{ readonly view: ViewValues; readonly point: Point } | null>(null);

/** Whether −1024 on this slice may stand for padding, or for a value below it. */
function mended(view: ViewValues, slice: number, value: number): boolean {
  const treated = view.pane.model.treated.get(slice);
  return isHounsfield(view.pane.model.info.value?.unit ?? "") && value === -1024 && !!treated && treated.padded + treated.clamped > 0;
}

function chainOf(view: ViewValues, slice: number, value: number): string {
  const { model } = view.pane;
  return chain(value, sliceFacts(model, slice), unitLabel(model.info.value?.unit ?? ""), mended(view, slice, value), words.value);
}

/** What the layers say of a voxel: segments by name, values with their unit. */
function layersAt(view: ViewValues, index: Vec3, lps: Vec3 | null): string[] {
  return view.pane.layers.shown.value.flatMap((layer) => {
    const info = layer.model.info.value;
    void layer.model.version.value;
    if (!info || !layer.visible.value) return [];
    if (layer.hasLabels) {
      const names = new Map(info.segments.map((each) => [each.index, each.label]));
      const shown = layer.model.labelsAt(index).filter((label) => layer.styles.value.get(label)?.visible);
      return shown.map((label) => names.get(label) ?? String(label));
    }
    const value = layer.model.valueAt(index, lps);
    if (value === null) return [];
    const digits = layer.kind === "RTDOSE" ? value.toFixed(2) : `${value > 0 ? "+" : ""}${+value.toPrecision(5)}`;
    return [`${layer.kind === "difference" ? "Δ " : ""}${minus(digits)} ${unitLabel(info.unit)}`.trim()];
  });
}

export function Readout() {
  const w = words.value;
  const at = readout.value;
  const pane = active.value;
  // The numbers change with the slice under a pointer that rests.
  void [pane?.slice.value, pane?.model.version.value, pane?.cross.value];
  const found = at && at.view.voxelAt(at.point);
  if (!found || found.value === null) {
    return (
      <footer class="readout quiet">
        {pane?.model.documents.value ? w.noPixels : pane?.model.pictures.value ? w.pictureOnly : w.pointAt}
      </footer>
    );
  }
  const said = layersAt(at.view, found.index, found.lps);
  return (
    <footer class="readout" data-value={found.value} data-voxel={found.index.join(",")} data-index={found.exact.join(",")} data-lps={found.lps?.join(",")}>
      <button class="chain" onClick={() => (panel.value = "tags")} title={w.conversion}>
        {chainOf(at.view, found.index[0], found.value)}
      </button>
      {said.length > 0 && (
        <span class="layers-at" title={w.layers}>
          {said.join(" · ")}
        </span>
      )}
      <span title={w.voxel}>[{found.index.join(", ")}]</span>
      {found.lps && <span class="lps">{found.lps.map((mm, axis) => `${"LPS"[axis]} ${minus(mm.toFixed(1).replace(/^-0\.0$/, "0.0"))}`).join("  ")} mm</span>}
    </footer>
  );
}
