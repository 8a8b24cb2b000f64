// The line of numbers: value with its chain of conversion, voxel, and place in the patient, under the pointer.

import { signal } from "@preact/signals";
import type { Point } from "../volume/raster";
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
        {pane?.model.pictures.value ? w.pictureOnly : w.pointAt}
      </footer>
    );
  }
  return (
    <footer class="readout" data-value={found.value} data-voxel={found.index.join(",")} data-index={found.exact.join(",")} data-lps={found.lps?.join(",")}>
      <button class="chain" onClick={() => (panel.value = "tags")} title={w.conversion}>
        {chainOf(at.view, found.index[0], found.value)}
      </button>
      <span title={w.voxel}>[{found.index.join(", ")}]</span>
      {found.lps && <span class="lps">{found.lps.map((mm, axis) => `${"LPS"[axis]} ${minus(mm.toFixed(1).replace(/^-0\.0$/, "0.0"))}`).join("  ")} mm</span>}
    </footer>
  );
}
