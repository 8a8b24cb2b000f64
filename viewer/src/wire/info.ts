// What the server says of a series before any pixel: geometry, unit, verdict, warnings, each slice's conversion.
// Checked on arrival, so that everything behind it may rely on it. The wire format is in docs/wire.md.

import type { Vec3 } from "../volume/vector";
import { seriesAddress } from "./address";
import { askJson, WireError } from "./errors";

export interface SliceInfo {
  readonly uid: string;
  /** 1-based frame of a multi-frame instance. */
  readonly frame: number;
  /** LPS mm of the first voxel's centre. */
  readonly position: Vec3 | null;
  readonly slope: number | null;
  readonly intercept: number | null;
  /** A table converts, instead of slope and intercept. */
  readonly table: boolean;
  /** Bits stored of bits allocated, and a sign where there is one; "" where it is not known. */
  readonly bits: string;
  readonly syntax: string;
  readonly notes: readonly string[];
}

/** What one Series Instance UID holds beside the chosen volume. */
export interface Part {
  readonly part: number;
  readonly label: string;
  readonly unit: string;
  readonly verdict: string;
  readonly slices: number;
  /** What each phase is called, name by name: "kernel B30f", "acquisition 1". */
  readonly phases: readonly (readonly string[])[];
}

export interface SeriesInfo {
  readonly study: string;
  readonly series: string;
  /** (slices, rows, columns); null where the server sends no values, only rendered pictures. */
  readonly shape: Vec3 | null;
  /** Columns (slice, row, column, origin) → LPS mm; null without a grid. */
  readonly affine: readonly (readonly number[])[] | null;
  /** (slice, row, column) mm */
  readonly spacing: Vec3 | null;
  /** (row, column) mm, also of slices that have no distance to one another. */
  readonly pixelSpacing: readonly [number, number] | null;
  /** Direction cosines of rows, then of columns. */
  readonly orientation: readonly number[] | null;
  readonly unit: string;
  readonly verdict: string;
  /** Why there is no volume, in the server's words. */
  readonly reason: string;
  readonly slices: readonly SliceInfo[];
  readonly missing: readonly number[];
  readonly tilt: number;
  readonly window: { readonly center: number; readonly width: number } | null;
  readonly inverted: boolean;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly header: Readonly<Record<string, string>>;
  readonly part: number;
  readonly phase: number;
  readonly parts: readonly Part[];
  readonly leftOut: readonly string[];
  /** Of the server's sentences: what they are made of, for other languages. */
  readonly told: Told;
}

/** Sentence → its key in `hounsfield.reasons`, and its values. */
export type Told = Readonly<Record<string, { readonly key: string; readonly values: Readonly<Record<string, string>> }>>;

/** Which volume of a series: null for the server's choice. */
export interface Choice {
  readonly part: number | null;
  readonly phase: number | null;
}

export const ANY: Choice = { part: null, phase: null };

export function choiceQuery({ part, phase }: Choice, more: Readonly<Record<string, number>> = {}): string {
  const query = new URLSearchParams(Object.entries(more).map(([name, value]) => [name, String(value)]));
  if (part !== null) query.set("part", String(part));
  if (phase !== null) query.set("phase", String(phase));
  const text = query.toString();
  return text ? `?${text}` : "";
}

export async function seriesInfo(study: string, series: string, choice: Choice): Promise<SeriesInfo> {
  return parseInfo(await askJson(`${seriesAddress(study, series)}/info${choiceQuery(choice)}`));
}

/** Units on the Hounsfield scale (PS3.3 C.11.1.1.2); nothing else is ever labelled HU. */
export function isHounsfield(unit: string): boolean {
  return unit === "HU" || unit === "HU_MOD";
}

type Json = Record<string, unknown>;

/** Raises `WireError` ("malformed") for what cannot be relied on. */
export function parseInfo(body: unknown): SeriesInfo {
  if (!body || typeof body !== "object" || Array.isArray(body)) throw malformed("an object");
  const info = body as Json;
  const report = record(info["report"]);
  const shape = optionalNumbers(info["shape"], 3, "shape");
  const slices = list(info["slices"]).map(parseSlice);
  if (shape && slices.length !== shape[0]) throw malformed("one entry a slice");
  const window = record(info["window"]);
  return {
    study: word(info["study"]),
    series: word(info["series"]),
    shape: shape as Vec3 | null,
    affine: parseAffine(info["affine"]),
    spacing: optionalNumbers(info["spacing"], 3, "spacing") as Vec3 | null,
    pixelSpacing: (optionalNumbers(info["pixel_spacing"], 2, "pixel spacing") ?? optionalNumbers(info["spacing"], 3, "spacing")?.slice(1) ?? null) as readonly [number, number] | null,
    orientation: optionalNumbers(info["orientation"], 6, "orientation"),
    unit: word(info["unit"]) || "unspecified",
    verdict: word(info["verdict"]),
    reason: word(info["reason"]),
    slices,
    missing: list(info["missing"]).map(Number),
    tilt: numberOr(info["tilt_degrees"], 0),
    window: isNumber(window["center"]) && isNumber(window["width"]) && window["width"] >= 1 ? { center: window["center"], width: window["width"] } : null,
    inverted: info["inverted"] === true,
    warnings: list(report["warnings"]).map(word),
    notes: list(report["spacing_notes"]).map(word),
    header: words(info["header"]),
    part: numberOr(info["part"], 0),
    phase: numberOr(info["phase"], 0),
    parts: list(info["parts"]).map(parsePart),
    leftOut: list(info["left_out"]).map((item) => word(record(item)["reason"])),
    told: Object.fromEntries(Object.entries(record(info["reasons"])).map(([sentence, made]) => [sentence, { key: word(record(made)["key"]), values: words(record(made)["values"]) }])),
  };
}

function parseSlice(item: unknown): SliceInfo {
  const slice = record(item);
  const stored = record(slice["stored"]);
  return {
    uid: word(slice["uid"]),
    frame: numberOr(slice["frame"], 1),
    position: optionalNumbers(slice["position"], 3, "position") as Vec3 | null,
    slope: isNumber(slice["slope"]) ? slice["slope"] : null,
    intercept: isNumber(slice["intercept"]) ? slice["intercept"] : null,
    table: slice["lut"] === true,
    bits: isNumber(stored["bits_stored"]) ? `${stored["signed"] ? "±" : ""}${stored["bits_stored"]}/${numberOr(stored["bits_allocated"], 0)}` : "",
    syntax: word(slice["syntax"]),
    notes: list(slice["notes"]).map(word),
  };
}

function parsePart(item: unknown): Part {
  const part = record(item);
  return {
    part: numberOr(part["part"], 0),
    label: word(part["label"]),
    unit: word(part["unit"]),
    verdict: word(part["verdict"]),
    slices: numberOr(part["slices"], 0),
    phases: part["phase_names"] ? list(part["phase_names"]).map((names) => list(names).map(word)) : list(part["phases"]).map((label) => [word(label)]),
  };
}

export function parseAffine(value: unknown): number[][] | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value) || value.length !== 4) throw malformed("a 4×4 affine");
  return value.map((row) => optionalNumbers(row, 4, "affine")!);
}

function optionalNumbers(value: unknown, size: number, name: string): number[] | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value) || value.length !== size || !value.every(isNumber)) throw malformed(`${size} numbers as ${name}`);
  return value as number[];
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const numberOr = (value: unknown, otherwise: number): number => (isNumber(value) ? value : otherwise);
const word = (value: unknown): string => (typeof value === "string" ? value : isNumber(value) ? String(value) : "");
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const words = (value: unknown): Record<string, string> => Object.fromEntries(Object.entries(record(value)).map(([key, each]) => [key, word(each)]));
const record = (value: unknown): Json => (value && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {});
const malformed = (expected: string): WireError => new WireError("malformed", `the server's description of the series lacks ${expected}`);
