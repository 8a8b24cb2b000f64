// Layers over a series: which there are, what each is, and its values (docs/wire.md). Checked on arrival.

import type { Vec3 } from "../volume/vector";
import { seriesAddress } from "./address";
import { askJson, WireError } from "./errors";
import { choiceQuery, parseAffine, type Choice } from "./info";
import { streamSlices } from "./slice_source";

export type LayerKind = "SEG" | "RTSTRUCT" | "labels" | "RTDOSE" | "difference";
const KINDS: readonly LayerKind[] = ["SEG", "RTSTRUCT", "labels", "RTDOSE", "difference"];

/** A layer that may be asked for. */
export interface Listed {
  readonly id: string;
  readonly kind: LayerKind;
  readonly name: string;
  /** Its own series, "" for a file. */
  readonly series: string;
  /** The series that it says it was made on, "" where it says none. */
  readonly drawnOn: string;
}

export interface Segment {
  /** Its number in the values, from 1. */
  readonly index: number;
  readonly number: number;
  readonly label: string;
  readonly array: number;
  readonly colour: readonly [number, number, number];
  readonly type: string;
  readonly voxels: number;
  readonly ml: number;
  readonly leftOut: number;
  /** Null where it holds no voxel with a value. */
  readonly mean: number | null;
  readonly sd: number | null;
}

export interface Both {
  readonly en: string;
  readonly zh: string;
}

/** What `hounsfield check` says of two volumes. */
export interface Check {
  readonly right: boolean;
  readonly sentences: readonly (Both & { readonly about: "values" | "place" | "axes"; readonly good: boolean })[];
  /** Of each axis of this series, the other's axis, and whether it runs the other way. */
  readonly axes: readonly [number, number, number];
  readonly flipped: readonly [boolean, boolean, boolean];
}

export interface LayerInfo {
  readonly id: string;
  readonly shape: Vec3;
  readonly affine: readonly (readonly number[])[] | null;
  readonly arrays: number;
  /** None for values. */
  readonly segments: readonly Segment[];
  readonly unit: string;
  /** Value of a step. */
  readonly scale: number;
  /** Least and largest value. */
  readonly range: readonly [number, number];
  readonly warnings: readonly Both[];
  readonly check: Check | null;
}

/** The identifier of another series less this one. */
export const minus = (study: string, series: string): string => `minus~${study}~${series}`;
export const isDifference = (id: string): boolean => id.startsWith("minus~");
/** The series that a difference is with, "" for a file. */
export const otherSeries = (id: string): string => (isDifference(id) ? (id.split("~")[2] ?? "") : "");

const base = (study: string, series: string): string => `${seriesAddress(study, series)}/layers`;

export async function layersOf(study: string, series: string, choice: Choice): Promise<Listed[]> {
  const body = record(await askJson(base(study, series) + choiceQuery(choice)));
  return list(body["layers"]).map(record).flatMap((item) => {
    const kind = KINDS.find((each) => each === item["kind"]);
    return kind ? [{ id: word(item["id"]), kind, name: word(item["name"]), series: word(item["series"]), drawnOn: word(item["drawn_on"]) }] : [];
  });
}

export async function layerInfo(study: string, series: string, choice: Choice, id: string): Promise<LayerInfo> {
  return parseLayer(await askJson(`${base(study, series)}/${encodeURIComponent(id)}${choiceQuery(choice)}`));
}

/** The slices of one of its arrays that hold anything. */
export function layerSlices(study: string, series: string, choice: Choice, info: LayerInfo, array: number, from: number, signal: AbortSignal, take: (index: number, values: Int16Array) => void): Promise<void> {
  const address = `${base(study, series)}/${encodeURIComponent(info.id)}/slices${choiceQuery(choice, { array, from })}`;
  let wrong: Error | null = null;
  return streamSlices(address, info.shape[1] * info.shape[2], signal, (index, reply) => {
    if (reply instanceof Error) wrong ??= reply;
    else take(index, new Int16Array(reply.buffer));
  }).then(() => {
    if (wrong) throw wrong;
  });
}

/** Raises `WireError` ("malformed") for what cannot be relied on. */
export function parseLayer(body: unknown): LayerInfo {
  const info = record(body);
  const shape = list(info["shape"]).map(Number);
  const range = list(info["range"]).map(Number);
  if (shape.length !== 3 || !shape.every((side) => side > 0)) throw new WireError("malformed", "the description of the layer lacks its shape");
  return {
    id: word(info["id"]),
    shape: shape as unknown as Vec3,
    affine: parseAffine(info["affine"]),
    arrays: numberOr(info["arrays"], 1),
    segments: list(info["segments"]).map((item) => parseSegment(record(item))),
    unit: word(info["unit"]),
    scale: numberOr(info["scale"], 1),
    range: range.length === 2 && range.every(Number.isFinite) ? [range[0]!, range[1]!] : [0, 0],
    warnings: list(info["warnings"]).map((item) => ({ en: word(record(item)["en"]), zh: word(record(item)["zh"]) })),
    check: info["check"] ? parseCheck(record(info["check"])) : null,
  };
}

function parseSegment(item: Json): Segment {
  const colour = list(item["colour"]).map(Number);
  return {
    index: numberOr(item["index"], 0),
    number: numberOr(item["number"], 0),
    label: word(item["label"]),
    array: numberOr(item["array"], 0),
    colour: colour.length === 3 ? (colour as unknown as [number, number, number]) : [255, 210, 77],
    type: word(item["type"]),
    voxels: numberOr(item["voxels"], 0),
    ml: numberOr(item["ml"], 0),
    leftOut: numberOr(item["left_out"], 0),
    mean: isNumber(item["mean"]) ? item["mean"] : null,
    sd: isNumber(item["sd"]) ? item["sd"] : null,
  };
}

function parseCheck(check: Json): Check {
  const axes = record(check["axes"]);
  const said = (about: "values" | "place" | "axes", from: Json, good: boolean): Check["sentences"] =>
    word(from["sentence"]) ? [{ about, good, en: word(from["sentence"]), zh: word(from["sentence_zh"]) || word(from["sentence"]) }] : [];
  const [values, geometry] = [record(check["values"]), record(check["geometry"])];
  const order = list(axes["axes"]).map(Number);
  const flips = list(axes["flipped"]).map(Boolean);
  return {
    right: check["right"] === true,
    sentences: [...said("values", values, values["verdict"] === "equal"), ...said("place", geometry, geometry["verdict"] === "equal"), ...said("axes", axes, true)],
    axes: order.length === 3 ? (order as unknown as [number, number, number]) : [0, 1, 2],
    flipped: flips.length === 3 ? (flips as unknown as [boolean, boolean, boolean]) : [false, false, false],
  };
}

type Json = Record<string, unknown>;
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const numberOr = (value: unknown, otherwise: number): number => (isNumber(value) ? value : otherwise);
const word = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const record = (value: unknown): Json => (value && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {});
