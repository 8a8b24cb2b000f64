// The wire fixtures that Python wrote (tests/support/wire_fixtures.py), as the page reads them.

import { readFileSync } from "node:fs";
import { affineFromRows } from "../src/volume/affine";
import type { Lattice } from "../src/volume/lattice";
import type { Grid } from "../src/volume/planes";
import type { Kind } from "../src/tools/registry";
import type { Spot } from "../src/tools/tool";
import type { Vec3 } from "../src/volume/vector";
import { parseInfo } from "../src/wire/info";

const file = (name: string): URL => new URL(`./fixtures/${name}`, import.meta.url);

export interface Expected {
  readonly crc32: string[];
  readonly greys: { center: number; width: number; values: number[]; greys: number[] }[];
  readonly regions: { kind: Kind; points: Spot[]; lps: Vec3[]; statistics?: Record<string, number> }[];
  readonly planes: { kind: Kind; points: Spot[]; plane: Lattice; samples: string; statistics?: Record<string, number> }[];
  readonly places: { index: Vec3; lps: Vec3; value: number }[];
}

export const expected = JSON.parse(readFileSync(file("expected.json"), "utf8")) as Expected;
export const info = parseInfo(JSON.parse(readFileSync(file("info.json"), "utf8")));
/** Key → English sentence of every reason that Python can give; "" where the sentence is an error's own. */
export const reasons = JSON.parse(readFileSync(file("reasons.json"), "utf8")) as Record<string, string>;
const bytes = readFileSync(file("slices.i16"));
const [count, rows, columns] = info.shape!;
const size = rows * columns * 2;

/** Bytes of each slice as sent. */
export const sent = Array.from({ length: count }, (_, k) => new Uint8Array(bytes.subarray(k * size, (k + 1) * size)));
export const slices = sent.map((each) => new Int16Array(each.slice().buffer));
export const grid: Grid = { affine: affineFromRows(info.affine!), shape: info.shape! };
