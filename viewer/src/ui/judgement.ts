// Whether a series' numbers can be trusted, and why not, from what Python found.

import { isHounsfield, type SeriesInfo } from "../wire/info";
import type { Physics } from "../wire/plausibility";
import type { SliceCounts } from "../wire/slice_source";
import { say } from "./reasons";
import { fill, WORDS, type Language, type Words } from "./words";

export type Trust = "good" | "care" | "bad" | "picture";

export interface Judgement {
  readonly trust: Trust;
  readonly reasons: readonly string[];
}

const LOADABLE = ["regular", "sheared"];
/** Transfer syntaxes that lose values, or may (PS3.5 A.4). */
const LOSSY = ["50", "51", "81", "91", "203"].map((last) => `1.2.840.10008.1.2.4.${last}`);

/** Evidence by which numbers are not, or not surely, HU. */
const DOUBTS = ["cone-beam", "density-kernel"];

/** `unread`: indexes of slices that could not be read. `physics`: what the numbers themselves say, once it is known. */
export function judge(info: SeriesInfo, done: SliceCounts, language: Language, unread: Iterable<number> = [], physics: Physics | null = null): Judgement {
  const w = WORDS[language];
  const told = (reasons: readonly string[]): string[] => reasons.map((reason) => say(reason, info.told, language));
  if (!info.shape) return { trust: "picture", reasons: [w.pictureOnly, ...told(info.leftOut.length ? info.leftOut : [info.reason])].filter(Boolean) };
  const bad: string[] = [];
  const lost = someSlices(unread);
  if (lost) bad.push(fill(w.unread, { slices: lost }));
  const care: string[] = [];
  // Only of a CT are Hounsfield units expected.
  if (!isHounsfield(info.unit)) (info.header["Modality"] === "CT" ? bad : care).push(fill(w.unitIs, { unit: info.unit === "unspecified" ? w.unspecified : info.unit }));
  if (!LOADABLE.includes(info.verdict) && info.shape[0] > 1) bad.push(`${w.verdict}: ${verdictName(info.verdict, w)}`, ...told(info.notes));
  if (done.saturated) bad.push(fill(w.saturated, { n: grouped(done.saturated) }));
  if (physics?.verdict === "implausible") bad.push(physics.looksLike?.[language] || w.physicsImplausible);
  care.push(...(physics?.evidence ?? []).filter((each) => DOUBTS.includes(each.key)).map((each) => each[language]));
  if (info.verdict === "sheared") care.push(`${w.verdict}: ${w.sheared} (${Math.abs(info.tilt).toFixed(1)}°)`);
  const slopes = new Set(info.slices.map((slice) => `${slice.slope} ${slice.intercept}`));
  if (slopes.size > 1) care.push(`${w.conversion}: ${w.perSlice}`);
  if (info.slices.some((slice) => LOSSY.includes(slice.syntax))) care.push(w.lossy);
  // Characters change no number: said, and not held against it.
  const ofTexts = (warning: string): boolean => (info.told[warning]?.key ?? "").startsWith("character-set");
  care.push(...told([...info.warnings.filter((warning) => !ofTexts(warning)), ...info.notes, ...new Set(info.slices.flatMap((slice) => slice.notes))]));
  if (done.rounded) care.push(fill(w.rounded, { n: grouped(done.rounded) }));
  // What was left out of the series changes no number of it: told, not held against it, unless it is much and so a warning.
  const warned = new Set(info.warnings.map((warning) => info.told[warning]?.values["reason"]));
  const few = told(info.leftOut.filter((reason) => !warned.has(reason)));
  const reasons = [...new Set([...bad, ...care, ...told(info.warnings.filter(ofTexts)), ...few.map((reason) => `${w.leftOut}: ${reason}`)])];
  return { trust: bad.length ? "bad" : care.length ? "care" : "good", reasons };
}

const NAMED = 6;

/** Numbers of slices as people count them, from 1; of many the first, and how many there are. */
export function someSlices(indexes: Iterable<number>): string {
  const numbers = [...indexes].map((index) => index + 1).sort((a, b) => a - b);
  return numbers.slice(0, NAMED).join(", ") + (numbers.length > NAMED ? ` … (${numbers.length})` : "");
}

export const grouped = (n: number): string => n.toLocaleString("en").replaceAll(",", " ");

export function verdictName(verdict: string, w: Words): string {
  const known = ["regular", "sheared", "gaps", "irregular", "not a volume"] as const;
  const found = known.find((each) => each === verdict);
  return found ? w[found] : verdict;
}
