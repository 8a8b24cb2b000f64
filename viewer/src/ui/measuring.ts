// Drawing, moving and measuring: from points on a view to a `Measurement` with its numbers.

import type { Measurement } from "../tools/measurements";
import { areaMm2, readings } from "../tools/measurements";
import { isRegion, toolOf, type Kind } from "../tools/registry";
import { planeStatistics, statistics, type Statistics } from "../tools/statistics";
import type { Reading, Spot } from "../tools/tool";
import { stepToIndex, toIndex } from "../volume/affine";
import { latticeLps, latticeValues, measuredPlane, sampleArea, type Lattice } from "../volume/lattice";
import { distanceToRaster, pixelSize, rasterLps, rasterNormal, rasterPoint, type Point, type Raster } from "../volume/raster";
import type { Vec3 } from "../volume/vector";
import { isHounsfield } from "../wire/info";
import type { PaneState, ViewName } from "./pane_state";
import { change, chosen, measurements, newId } from "./session";
import { sliceFacts } from "./slice_facts";
import type { ViewValues } from "./view_values";
import type { Words } from "./words";

const isPoint = (kind: Kind): boolean => toolOf(kind).strokes === "point";

/** A measurement whose numbers are taken anew from the slice or plane it lies on. */
export function measured(item: Measurement, pane: PaneState): Measurement {
  if (item.slice === null && isPoint(item.kind)) return { ...item, value: valueAt(item.lps[0], pane) };
  if (item.slice === null) return item.plane && isRegion(item.kind) ? { ...item, statistics: onPlane(item, item.plane, pane) } : item;
  const shape = pane.model.info.value?.shape;
  const values = pane.model.slices?.get(item.slice);
  if (!shape || !values) return item;
  const raster = pane.model.raster(item.slice);
  const size = raster?.placed ? pixelSize(raster) : { x: 1, y: 1 };
  const probe = isPoint(item.kind) && item.points[0];
  const at = probe ? Math.floor(probe[0] + 0.5) * shape[2] + Math.floor(probe[1] + 0.5) : -1;
  return {
    ...item,
    statistics: isRegion(item.kind) ? statistics(item.kind, item.points, values, shape[1], shape[2], size.x * size.y) : null,
    value: probe ? (values[at] ?? null) : null,
  };
}

/** Of the voxel at a place; null outside, and while its slice is on its way. */
function valueAt(place: Vec3 | undefined, { model }: PaneState): number | null {
  const shape = model.info.value?.shape;
  if (!place || !shape || !model.inverse) return null;
  const [slice, row, column] = toIndex(model.inverse, place).map((at) => Math.floor(at + 0.5)) as [number, number, number];
  const inside = row >= 0 && column >= 0 && row < shape[1] && column < shape[2];
  return inside ? (model.slices?.get(slice)?.[row * shape[2] + column] ?? null) : null;
}

function onPlane(item: Measurement, plane: Lattice, { model }: PaneState): Statistics | null {
  if (!model.grid || !model.inverse || !model.hasPlanes) return null;
  const values = latticeValues(model.grid, model.inverse, (index) => model.slices?.get(index), plane);
  return planeStatistics(item.kind, item.points, values, sampleArea(plane));
}

/** Measures what could not be measured before, because a slice had not come. */
export function measureWaiting(pane: PaneState): void {
  const waits = (item: Measurement): boolean => item.series === pane.model.series && ((isRegion(item.kind) && !item.statistics) || (isPoint(item.kind) && item.value === null));
  if (!measurements.peek().some(waits)) return;
  const next = measurements.peek().map((item) => (waits(item) ? measured(item, pane) : item));
  if (next.some((item, k) => item.statistics !== measurements.peek()[k]!.statistics || item.value !== measurements.peek()[k]!.value)) measurements.value = next;
}

/** A new measurement from raster points of a view. */
export function draft(kind: Kind, points: readonly Point[], view: ViewValues): Measurement {
  const { pane, raster } = view;
  const placed = { id: newId(), kind, label: "", study: pane.model.study, series: pane.model.series, unit: pane.model.info.value?.unit ?? "", statistics: null, value: null };
  if (view.view === "stack" || !raster || !pane.model.grid || !pane.model.inverse) {
    const lps = raster?.placed ? points.map((point) => rasterLps(raster, point)) : [];
    return measured({ ...placed, ...ofSlice(pane, pane.slice.value), points: points.map((point): Spot => [point.y, point.x]), lps }, pane);
  }
  const lps = points.map((point) => rasterLps(raster, point));
  if (isPoint(kind)) return measured({ ...placed, instance: "", slice: null, plane: null, points: [], lps }, pane);
  const { lattice, slice, voxels } = measuredPlane(pane.model.grid, pane.model.inverse, raster);
  const plane = slice === null ? { origin: lattice.origin, across: lattice.across, down: lattice.down, voxels } : null;
  const empty: Measurement = { ...placed, ...ofSlice(pane, slice), plane, points: [], lps };
  return measured(lps.reduce((item, place, k) => withPlace(item, k, place, pane), empty), pane);
}

const ofSlice = (pane: PaneState, slice: number | null) => ({ slice, plane: null, instance: slice === null ? "" : sliceFacts(pane.model, slice).instance });

/** Point `index` at a place in the patient, moved onto the slice or plane that the measurement lies on. */
function withPlace(item: Measurement, index: number, place: Vec3, pane: PaneState): Measurement {
  const ground = item.slice === null ? item.plane : pane.model.raster(item.slice);
  const put = <Item>(list: readonly Item[], value: Item): Item[] => [...list.slice(0, index), value, ...list.slice(index + 1)];
  if (!ground) return { ...item, lps: put(item.lps, place) };
  const foot = rasterPoint(ground, place);
  return { ...item, points: put(item.points, [foot.y, foot.x]), lps: put(item.lps, latticeLps(ground, foot)) };
}

/** The measurements that lie on what a view shows. */
export const visible = (view: ViewValues): Measurement[] => measurements.value.filter((item) => isVisible(item, view));

export function isVisible(item: Measurement, view: ViewValues): boolean {
  const { raster, pane } = view;
  if (!raster || item.series !== pane.model.series) return false;
  if (view.view === "stack" && item.slice !== null) return item.slice === pane.slice.value;
  const half = nearness(view, raster);
  return item.lps.length > 0 && item.lps.every((place) => distanceToRaster(raster, place) <= half);
}

/** How far from a view's raster, mm, a measurement may lie and still belong to it: half a voxel. */
function nearness({ view, pane }: ViewValues, raster: Raster): number {
  const [slice, row, column] = pane.model.info.value?.spacing ?? [1, 1, 1];
  if (view === "stack" || !pane.model.inverse) return Math.max(0.5, slice / 2);
  const step = stepToIndex(pane.model.inverse, rasterNormal(raster));
  const most = step.reduce((best, each, axis) => (Math.abs(each) > Math.abs(step[best]!) ? axis : best), 0);
  return Math.max(0.05, ([slice, row, column][most]! / 2) * 1.001);
}

/** Points of a measurement on a raster. */
export function pointsOn(item: Measurement, raster: Raster, view: ViewName): Point[] {
  if (view === "stack" && item.slice !== null) return item.points.map(([row, column]) => ({ x: column, y: row }));
  return item.lps.map((place) => rasterPoint(raster, place));
}

/** Replaces point `index` of a measurement. */
export function withPoint(item: Measurement, index: number, point: Point, view: ViewValues): Measurement {
  const raster = view.raster!;
  if (raster.placed) return measured(withPlace(item, index, rasterLps(raster, point), view.pane), view.pane);
  return measured({ ...item, points: item.points.map((each, k): Spot => (k === index ? [point.y, point.x] : each)) }, view.pane);
}

/** Replaces all points but those that are the same object as `before`; measured once. */
export function withPoints(item: Measurement, points: readonly Point[], view: ViewValues, before: readonly Point[] = []): Measurement {
  const { raster, pane } = view;
  if (!raster?.placed) return measured({ ...item, points: points.map(({ x, y }): Spot => [y, x]) }, pane);
  return measured(points.reduce((made, point, k) => (point === before[k] ? made : withPlace(made, k, rasterLps(raster, point), pane)), item), pane);
}

export function commit(item: Measurement): void {
  change([...measurements.peek().filter((each) => each.id !== item.id), item]);
  chosen.value = item.id;
}

/** DICOM writes units in capitals (PS3.3 C.8.8.3). */
const WRITTEN: Readonly<Record<string, string>> = { unspecified: "", GY: "Gy", RELATIVE: "" };
export const unitLabel = (unit: string): string => (isHounsfield(unit) ? "HU" : (WRITTEN[unit] ?? unit));

const short = (value: number): string => String(+value.toFixed(1)).replace("-", "−");
/** With its tenth even where that is 0; never −0.0. */
const tenths = (value: number): string => ((Math.round(value * 10) || 0) / 10).toFixed(1).replace("-", "−");

/** A length or angle with its unit. */
const read = ({ value, unit }: Reading, words: Words): string => (unit === "°" ? `${tenths(value)}°` : `${tenths(value)} ${unit === "px" ? words.pixels : unit}`);

/** What stands beside a measurement. */
export function lines(item: Measurement, words: Words): string[] {
  const unit = unitLabel(item.unit);
  const found: string[] = item.label ? [item.label] : [];
  found.push(...readings(item).map((reading) => read(reading, words)));
  if (item.value !== null) found.push(`${short(item.value)} ${unit}`.trim());
  const s = item.statistics;
  if (s) {
    found.push(`${tenths(s.mean)} ± ${tenths(s.sd)} ${unit}`.trim());
    found.push(`${short(s.minimum)} … ${short(s.maximum)}`);
    const area = areaMm2(item);
    found.push(`${area === null ? "" : `${tenths(area)} mm² · `}${s.count} ${item.plane && !item.plane.voxels ? words.samples : words.count}`);
  }
  return found;
}
