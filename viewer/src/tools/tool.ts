// What a measuring tool is: its name, key and icon, how it is drawn, what it holds and what it reads. One file each in `kinds`.

import type { Point } from "../volume/raster";
import type { Vec3 } from "../volume/vector";

/** (row, column), fractional, voxel centres at whole numbers. */
export type Spot = readonly [number, number];

/** A point by a click; a line by a drag; a line, then a second leg from its end; two lines; a trail of the pointer. */
export type Strokes = "point" | "line" | "corner" | "lines" | "trail";

/** Where something was drawn: on the slice or plane, and in the patient (LPS mm; empty where no place is known). */
export interface Drawn {
  readonly points: readonly Spot[];
  readonly lps: readonly Vec3[];
}

/** A number read off a drawing; `column` of the exports, null for one that is only shown. */
export interface Reading {
  readonly column: string | null;
  readonly value: number;
  readonly unit: "mm" | "°" | "px";
}

export type Membership = (row: number, column: number) => boolean;

export interface MeasuringTool<Name extends string = string> {
  /** In files, addresses and tests. */
  readonly name: Name;
  readonly words: readonly [english: string, chinese: string];
  readonly key: string;
  /** An SVG path, 20 × 20. */
  readonly icon: `M${string}`;
  readonly strokes: Strokes;
  /** The lines that are drawn and grasped, closed ones ending where they begin. */
  readonly outline: (points: readonly Point[]) => readonly (readonly Point[])[];
  /** Of a region: which voxels it holds, by their centres; null where the points make none. */
  readonly contains?: (points: readonly Spot[]) => Membership | null;
  /** Names of all columns that `readings` can fill, in order. */
  readonly columns: readonly string[];
  readonly readings: (drawn: Drawn) => readonly Reading[];
  /** What the keyboard puts at a point, `size` pixels from middle to edge. */
  readonly figure: (at: Point, size: number) => readonly Point[];
}

/** Keeps the literal name of a tool, from which the registry makes the type of all names. */
export const measuringTool = <const Name extends string>(tool: MeasuringTool<Name>): MeasuringTool<Name> => tool;

export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export function bounds(points: readonly Spot[]): Box {
  const rows = points.map((point) => point[0]);
  const columns = points.map((point) => point[1]);
  return { top: Math.min(...rows), left: Math.min(...columns), bottom: Math.max(...rows), right: Math.max(...columns) };
}

/** Two opposite corners about a point. */
export const corners = ({ x, y }: Point, size: number): Point[] => [{ x: x - size, y: y - size }, { x: x + size, y: y + size }];
