// How a value came out of the file, in one line: "40 HU = stored 1064 × 1 − 1024".

import type { SliceFacts } from "./slice_facts";
import type { Words } from "./words";

export const minus = (text: string | number): string => String(text).replaceAll("-", "−");

/** `mended`: −1024 may stand for padding, or for a value below it. */
export function chain(value: number, facts: SliceFacts, unit: string, mended: boolean, w: Words): string {
  const said = `${minus(value)}${unit ? ` ${unit}` : ""}`;
  if (mended) return `${said} (${w.paddingOrBelow})`;
  const { slope, intercept } = facts;
  // A table converted it, or nothing is known.
  if (slope === null || intercept === null || slope === 0) return said;
  const stored = Math.round((value - intercept) / slope);
  const exact = stored * slope + intercept === value;
  return `${said} ${exact ? "=" : "≈"} ${w.stored} ${minus(stored)} × ${minus(slope)} ${intercept < 0 ? "−" : "+"} ${Math.abs(intercept)}`;
}
