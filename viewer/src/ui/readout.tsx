// The line of numbers: value with its chain of conversion, voxel, and place in the patient, under the pointer.

import { signal } from "@preact/signals";
import type { Point } from "../volume/raster";
import { isHounsfield } from "../wire/info";
import { unitLabel } from "./measuring";
import { active, panel } from "./session";
import { words } from "./settings";
import { sliceFacts, storedValue } from "./slice_facts";
import type { ViewValues } from "./view_values";
import type { Words } from "./words";

export const readout = signal<{ readonly view: ViewValues; readonly point: Point } | null>(null);

const minus = (text: string | number): string => String(text).replaceAll("-", "−");

/** "40 HU = 1064 × 1 − 1024": how the value came out of the file. */
export function chain(view: ViewValues, slice: number, value: number, w: Words): string {
  const { model } = view.pane;
  const unit = unitLabel(model.info.value?.unit ?? "");
  const said = `${minus(value)}${unit ? ` ${unit}` : ""}`;
  const facts = sliceFacts(model, slice);
  const treated = model.treated.get(slice);
  if (isHounsfield(model.info.value?.unit ?? "") && value === -1024 && treated && (treated.padded || treated.clamped)) return `${said} (${w.paddingOrBelow})`;
  const stored = storedValue(facts, value);
  if (stored === null) return said;
  const exact = stored * facts.slope! + facts.intercept! === value;
  const sign = facts.intercept! < 0 ? "−" : "+";
  return `${said} ${exact ? "=" : "≈"} ${w.stored} ${minus(stored)} × ${facts.slope} ${sign} ${Math.abs(facts.intercept!)}`;
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
      <div class="readout quiet" role="status">
        {pane?.model.pictures.value ? w.pictureOnly : w.pointAt}
      </div>
    );
  }
  return (
    <div class="readout" data-value={found.value} data-voxel={found.index.join(",")} data-index={found.exact.join(",")} data-lps={found.lps?.join(",")}>
      <button class="chain" onClick={() => (panel.value = "tags")} title={w.conversion}>
        {chain(at.view, found.index[0], found.value, w)}
      </button>
      <span title={w.voxel}>[{found.index.join(", ")}]</span>
      {found.lps && <span class="lps">{found.lps.map((mm, axis) => `${"LPS"[axis]} ${minus(mm.toFixed(1))}`).join("  ")} mm</span>}
    </div>
  );
}
