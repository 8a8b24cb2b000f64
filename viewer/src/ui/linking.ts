// Panes that go together: by place where they share a frame of reference, voxel by voxel where one was held against
// the other.

import { toIndex } from "../volume/affine";
import type { Vec3 } from "../volume/vector";
import { otherSeries, type Check } from "../wire/layers";
import type { PaneState } from "./pane_state";

const frameOf = (pane: PaneState): string => pane.model.info.value?.header["FrameOfReferenceUID"] ?? "";

/** Whether two panes show places of one frame of reference, so that scrolling one can move the other. */
function sharePlace(a: PaneState, b: PaneState): boolean {
  if (!a.model.grid || !b.model.grid) return false;
  return a.model === b.model || (frameOf(a) !== "" && frameOf(a) === frameOf(b));
}

type Voxels = (index: Vec3, check: Check, shape: Vec3) => Vec3;

/** From a voxel of the series to that of the other volume, and back. */
const there: Voxels = (index, { axes, flipped }, shape) => {
  const found: [number, number, number] = [0, 0, 0];
  axes.forEach((axis, k) => (found[axis] = flipped[k] ? shape[k]! - 1 - index[k]! : index[k]!));
  return found;
};
const back: Voxels = (index, { axes, flipped }, shape) => axes.map((axis, k) => (flipped[k] ? shape[k]! - 1 - index[axis]! : index[axis]!)) as unknown as Vec3;

/** How voxels of one pane's series lie in the other's, by a difference of the two among the layers of `panes`; null without one. */
function pairing(a: PaneState, b: PaneState, panes: readonly PaneState[]): ((index: Vec3) => Vec3) | null {
  for (const layer of panes.flatMap((each) => each.layers.shown.value)) {
    const { series, info } = layer.model;
    const [check, shape] = [info.value?.check, series.info.value?.shape];
    if (!check || !shape) continue;
    const other = otherSeries(layer.id);
    if (series === a.model && other === b.model.series) return (index) => there(index, check, shape);
    if (series === b.model && other === a.model.series) return (index) => back(index, check, shape);
  }
  return null;
}

/** Whether scrolling one moves the other. */
export function goTogether(a: PaneState, b: PaneState, panes: readonly PaneState[]): boolean {
  return sharePlace(a, b) || pairing(a, b, panes) !== null;
}

/** Takes `pane` to where `lead` is, as far as it reaches there. */
export function follow(lead: PaneState, place: Vec3, pane: PaneState, panes: readonly PaneState[]): void {
  const { model } = pane;
  if (!model.inverse || !lead.model.inverse) return;
  const paired = pairing(lead, pane, panes);
  if (paired) {
    pane.lookAtVoxel(paired(toIndex(lead.model.inverse, place)));
    return;
  }
  if (!sharePlace(lead, pane)) return;
  const at = toIndex(model.inverse, place).map(Math.round);
  const within = (axis: number): boolean => at[axis]! >= 0 && at[axis]! < model.grid!.shape[axis]!;
  if (within(0) && within(1) && within(2)) pane.lookAt(place);
  else if (within(0)) pane.goTo(at[0]!);
}
