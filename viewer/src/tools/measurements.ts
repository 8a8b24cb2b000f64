// Measurements as things to keep: what was drawn where, exported as JSON or CSV and imported again.

import type { Lattice } from "../volume/lattice";
import { cross, length, type Vec3 } from "../volume/vector";
import { isKind, MEASURING_TOOLS, toolOf, type Kind } from "./registry";
import type { Statistics } from "./statistics";
import type { Reading, Spot } from "./tool";

export interface Measurement {
  readonly id: number;
  readonly kind: Kind;
  readonly label: string;
  readonly study: string;
  readonly series: string;
  /** SOP Instance UID of the slice; empty on a plane across slices. */
  readonly instance: string;
  /** Index of the slice in the loaded order, or null across slices. */
  readonly slice: number | null;
  /** (row, column) on the slice, or on the lattice of the plane; empty for a probe across slices. */
  readonly points: readonly Spot[];
  /** The samples of a plane across slices. */
  readonly plane: PlaneOf | null;
  /** LPS mm of the same points. */
  readonly lps: readonly Vec3[];
  readonly unit: string;
  readonly statistics: Statistics | null;
  /** Value of the voxel under a probe. */
  readonly value: number | null;
}

/** A plane across slices; `voxels`: its samples are voxels, not values between them. */
export interface PlaneOf extends Lattice {
  readonly voxels: boolean;
}

/** Lengths and angles of a drawing, as its tool reads them. */
export const readings = (item: Pick<Measurement, "kind" | "points" | "lps">): readonly Reading[] => toolOf(item.kind).readings(item);

/** The same by the columns of the exports. */
function columnsOf(item: Measurement): Readonly<Record<string, number>> {
  return Object.fromEntries(readings(item).flatMap(({ column, value }) => (column === null ? [] : [[column, value] as const])));
}

const READ_COLUMNS = [...new Set(MEASURING_TOOLS.flatMap((tool) => tool.columns))];

/** mm², null where the size of a pixel is not known. */
export const areaMm2 = ({ lps, statistics }: Pick<Measurement, "lps" | "statistics">): number | null => (lps.length && statistics ? statistics.area : null);

const FORMAT = "hounsfield measurements";
const VERSION = 1;

export function toJson(measurements: readonly Measurement[]): string {
  const items = measurements.map((item) => ({
    kind: item.kind,
    label: item.label,
    StudyInstanceUID: item.study,
    SeriesInstanceUID: item.series,
    SOPInstanceUID: item.instance,
    slice: item.slice,
    points: item.points,
    lps: item.lps,
    unit: item.unit,
    ...(item.plane ? { plane: { origin: item.plane.origin, across: item.plane.across, down: item.plane.down }, samples: samplesOf(item.plane) } : {}),
    ...(item.value === null ? {} : { value: item.value }),
    ...columnsOf(item),
    ...(item.statistics ? { statistics: { ...withoutArea(item.statistics), area_mm2: areaMm2(item) } } : {}),
  }));
  return `${JSON.stringify({ format: FORMAT, version: VERSION, points: "(row, column)", measurements: items }, null, 1)}\n`;
}

const samplesOf = (plane: PlaneOf): string => (plane.voxels ? "voxels" : "interpolated");

function withoutArea({ area: _, ...rest }: Statistics): Omit<Statistics, "area"> {
  return rest;
}

const CSV_COLUMNS = ["kind", "label", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "slice", "unit", "value", ...READ_COLUMNS, "count", "mean", "sd", "minimum", "maximum", "area_mm2", "points_row_column", "points_lps_mm", "samples", "plane_origin_lps_mm", "plane_across_lps_mm", "plane_down_lps_mm"];

export function toCsv(measurements: readonly Measurement[]): string {
  const rows = measurements.map((item) => {
    const [s, read] = [item.statistics, columnsOf(item)];
    return [
      ...[item.kind, item.label, item.study, item.series, item.instance, item.slice, item.unit, item.value],
      ...READ_COLUMNS.map((column) => read[column]),
      ...[s?.count, s?.mean, s?.sd, s?.minimum, s?.maximum, areaMm2(item)],
      ...[item.points.map((p) => p.join(" ")).join("; "), item.lps.map((p) => p.join(" ")).join("; ")],
      ...(item.plane ? [samplesOf(item.plane), item.plane.origin.join(" "), item.plane.across.join(" "), item.plane.down.join(" ")] : ["", "", "", ""]),
    ];
  });
  return [CSV_COLUMNS, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

const NUMBERS = /^-?\d[-\d.e+ ;]*$/;

/** Quoted where it must be; text that a spreadsheet would take for a formula is led by an apostrophe, numbers are not. */
function csvCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = NUMBERS.test(String(value)) ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export type Imported = Omit<Measurement, "id" | "statistics" | "value">;

/** Why a file is not imported; `at`: which measurement, from 1. */
export class ImportError extends Error {
  constructor(
    readonly key: "notJson" | "notMeasurements" | "badMeasurement",
    readonly at = 0,
  ) {
    super(key);
  }
}

/** What `toJson` or `hounsfield.ct.roi` wrote; statistics are measured again, never believed. Throws `ImportError`. */
export function fromJson(text: string): Imported[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ImportError("notJson");
  }
  const file = body as { format?: unknown; measurements?: unknown };
  if (file?.format !== FORMAT || !Array.isArray(file.measurements)) throw new ImportError("notMeasurements");
  return file.measurements.map(imported);
}

function imported(item: unknown, index: number): Imported {
  const found = item as Record<string, unknown>;
  const kind = found?.["kind"];
  const points = tuples(found?.["points"], 2);
  const lps = tuples(found?.["lps"], 3);
  if (!isKind(kind) || !points || !lps) throw new ImportError("badMeasurement", index + 1);
  const words = (key: string): string => (typeof found[key] === "string" ? found[key] : "");
  return {
    kind,
    label: words("label"),
    study: words("StudyInstanceUID"),
    series: words("SeriesInstanceUID"),
    instance: words("SOPInstanceUID"),
    slice: typeof found["slice"] === "number" ? found["slice"] : null,
    points: points as unknown as Spot[],
    lps: lps as unknown as Vec3[],
    plane: planeOf(found["plane"], found["samples"]),
    unit: words("unit"),
  };
}

function planeOf(value: unknown, samples: unknown): PlaneOf | null {
  const found = (value ?? {}) as Record<string, unknown>;
  const numbers = tuples([found["origin"], found["across"], found["down"]], 3) as unknown as [Vec3, Vec3, Vec3] | null;
  if (!numbers || !(length(cross(numbers[1], numbers[2])) > 0)) return null;
  return { origin: numbers[0], across: numbers[1], down: numbers[2], voxels: samples === "voxels" };
}

function tuples(value: unknown, size: number): number[][] | null {
  if (!Array.isArray(value) || value.length > 100_000) return null;
  const good = value.every((tuple) => Array.isArray(tuple) && tuple.length === size && tuple.every((n) => Number.isFinite(n)));
  return good ? (value as number[][]) : null;
}
