// Drawing, moving and measuring: from points on a view to a `Measurement` with its numbers.

import type { Measurement } from "../tools/measurements";
import { angleDegrees, lengthMm } from "../tools/measurements";
import { REGIONS, type Kind, type Spot } from "../tools/shapes";
import { statistics } from "../tools/statistics";
import { distanceToRaster, pixelSize, rasterLps, rasterPoint, type Point, type Raster } from "../volume/raster";
import { isHounsfield } from "../wire/info";
import type { PaneState, ViewName } from "./pane_state";
import { change, chosen, measurements, newId } from "./session";
import { sliceFacts } from "./slice_facts";
import type { ViewValues } from "./view_values";
import type { Words } from "./words";

export const isMeasuring = (tool: string): tool is Kind => ["probe", "length", "angle", ...REGIONS].includes(tool);

/** Regions are of voxels, so of slices; a plane across slices takes lengths, angles and probes. */
export const canMeasure = (kind: Kind, view: ViewName): boolean => view === "stack" || !REGIONS.includes(kind);

/** A measurement whose numbers are taken anew from the slice it lies on. */
export function measured(item: Measurement, pane: PaneState): Measurement {
  const shape = pane.model.info.value?.shape;
  const values = item.slice === null ? undefined : pane.model.slices?.get(item.slice);
  if (!shape || !values || item.slice === null) return item;
  const raster = pane.model.raster(item.slice);
  const size = raster?.placed ? pixelSize(raster) : { x: 1, y: 1 };
  const probe = item.kind === "probe" && item.points[0];
  const at = probe ? Math.floor(probe[0] + 0.5) * shape[2] + Math.floor(probe[1] + 0.5) : -1;
  return {
    ...item,
    statistics: REGIONS.includes(item.kind) ? statistics(item.kind, item.points, values, shape[1], shape[2], size.x * size.y) : null,
    value: probe ? (values[at] ?? null) : null,
  };
}

/** A new measurement from raster points of a view. */
export function draft(kind: Kind, points: readonly Point[], view: ViewValues): Measurement {
  const { pane, raster } = view;
  const onSlice = view.view === "stack";
  const slice = onSlice ? pane.slice.value : null;
  const probed = !onSlice && kind === "probe" && points[0] ? view.voxelAt(points[0]) : null;
  const item: Measurement = {
    id: newId(),
    kind,
    label: "",
    study: pane.model.study,
    series: pane.model.series,
    instance: slice === null ? "" : sliceFacts(pane.model, slice).instance,
    slice,
    points: onSlice ? points.map((point): Spot => [point.y, point.x]) : [],
    lps: raster?.placed ? points.map((point) => rasterLps(raster, point)) : [],
    unit: pane.model.info.value?.unit ?? "",
    statistics: null,
    value: probed?.value ?? null,
  };
  return measured(item, pane);
}

/** The measurements that lie on what a view shows. */
export function visible(view: ViewValues): Measurement[] {
  const { raster, pane } = view;
  if (!raster) return [];
  const half = Math.max(0.5, (pane.model.info.value?.spacing?.[0] ?? 1) / 2);
  return measurements.value.filter((item) => {
    if (item.series !== pane.model.series) return false;
    if (view.view === "stack" && item.slice !== null) return item.slice === pane.slice.value;
    return item.lps.length > 0 && item.lps.every((place) => distanceToRaster(raster, place) <= half);
  });
}

/** Points of a measurement on a raster. */
export function pointsOn(item: Measurement, raster: Raster, view: ViewName): Point[] {
  if (view === "stack" && item.slice !== null) return item.points.map(([row, column]) => ({ x: column, y: row }));
  return item.lps.map((place) => rasterPoint(raster, place));
}

/** Replaces point `index` of a measurement. */
export function withPoint(item: Measurement, index: number, at: Point, view: ViewValues): Measurement {
  const raster = view.raster!;
  const points = item.points.map((point, k): Spot => (k === index ? [at.y, at.x] : point));
  const lps = item.lps.map((place, k) => (k === index ? rasterLps(raster, at) : place));
  return measured({ ...item, points, lps }, view.pane);
}

export function commit(item: Measurement): void {
  change([...measurements.peek().filter((each) => each.id !== item.id), item]);
  chosen.value = item.id;
}

export const unitLabel = (unit: string): string => (isHounsfield(unit) ? "HU" : unit === "unspecified" || !unit ? "" : unit);

const short = (value: number): string => String(+value.toFixed(1)).replace("-", "−");

/** What stands beside a measurement. */
export function lines(item: Measurement, words: Words): string[] {
  const unit = unitLabel(item.unit);
  const found: string[] = item.label ? [item.label] : [];
  const mm = lengthMm(item);
  const degrees = angleDegrees(item);
  if (mm !== null) found.push(`${short(mm)} mm`);
  if (degrees !== null) found.push(`${short(degrees)}°`);
  if (item.value !== null) found.push(`${short(item.value)} ${unit}`.trim());
  const s = item.statistics;
  if (s) {
    found.push(`${short(s.mean)} ± ${short(s.sd)} ${unit}`.trim());
    found.push(`${short(s.minimum)} … ${short(s.maximum)}`);
    found.push(`${short(s.area)} mm² · ${s.count} ${words.count}`);
  }
  return found;
}
