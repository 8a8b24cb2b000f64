// Three numbers at a time, in mm of the patient (LPS: +x left, +y back, +z head) or in (slice, row, column).

export type Vec3 = readonly [number, number, number];

export const add = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a: Vec3, by: number): Vec3 => [a[0] * by, a[1] * by, a[2] * by];
export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const length = (a: Vec3): number => Math.hypot(a[0], a[1], a[2]);
export const distance = (a: Vec3, b: Vec3): number => length(subtract(a, b));

export function cross(a: Vec3, b: Vec3): Vec3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function unit(a: Vec3): Vec3 {
  const size = length(a);
  return size > 0 ? scale(a, 1 / size) : [0, 0, 0];
}

/** Angle between two directions, degrees. */
export function angle(a: Vec3, b: Vec3): number {
  return (Math.atan2(length(cross(a, b)), dot(a, b)) * 180) / Math.PI;
}

const RADIANS = Math.PI / 180;

/** A direction turned by a rotation vector: its direction the axis, its length the angle in degrees. */
export function rotated(a: Vec3, turn: Vec3): Vec3 {
  const degrees = length(turn);
  if (degrees < 1e-12) return a;
  const axis = scale(turn, 1 / degrees);
  const [c, s] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
  return add(add(scale(a, c), scale(cross(axis, a), s)), scale(axis, dot(axis, a) * (1 - c)));
}

type Quaternion = readonly [w: number, x: number, y: number, z: number];

function quaternion(turn: Vec3): Quaternion {
  const half = (length(turn) * RADIANS) / 2;
  const [x, y, z] = scale(unit(turn), Math.sin(half));
  return [Math.cos(half), x, y, z];
}

/** One rotation after another, as a rotation vector of at most 180°. */
export function compose(first: Vec3, then: Vec3): Vec3 {
  const [[a, ...u], [b, ...v]] = [quaternion(then), quaternion(first)];
  const [p, q] = [u as unknown as Vec3, v as unknown as Vec3];
  const w = a * b - dot(p, q);
  const xyz = add(add(scale(q, a), scale(p, b)), cross(p, q));
  const sign = w < 0 ? -1 : 1;
  const size = length(xyz);
  return size < 1e-12 ? [0, 0, 0] : scale(xyz, (sign * 2 * Math.atan2(size, Math.abs(w))) / RADIANS / size);
}
