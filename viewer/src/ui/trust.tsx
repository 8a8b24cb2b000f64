// The trust badge: green, amber or red, with its reasons, from what Python found.

import { isHounsfield, type SeriesInfo } from "../wire/info";
import type { SliceCounts } from "../wire/slice_source";
import type { PaneState } from "./pane_state";
import { panel } from "./session";
import { words } from "./settings";
import { fill, type Words } from "./words";

export type Trust = "good" | "care" | "bad" | "picture";

export interface Judgement {
  readonly trust: Trust;
  readonly reasons: readonly string[];
}

const LOADABLE = ["regular", "sheared"];
/** Transfer syntaxes that lose values, or may (PS3.5 A.4). */
const LOSSY = ["50", "51", "81", "91", "203"].map((last) => `1.2.840.10008.1.2.4.${last}`);

export function judge(info: SeriesInfo, done: SliceCounts, w: Words): Judgement {
  if (!info.shape) return { trust: "picture", reasons: [w.pictureOnly, info.reason, ...info.leftOut].filter(Boolean) };
  const bad: string[] = [];
  const care: string[] = [];
  // Only of a CT are Hounsfield units expected.
  if (!isHounsfield(info.unit)) (info.header["Modality"] === "CT" ? bad : care).push(fill(w.unitIs, { unit: info.unit === "unspecified" ? w.unspecified : info.unit }));
  if (!LOADABLE.includes(info.verdict) && info.shape[0] > 1) bad.push(`${w.verdict}: ${verdictName(info.verdict, w)}${info.reason ? ` – ${info.reason}` : ""}`);
  if (done.saturated) bad.push(fill(w.saturated, { n: grouped(done.saturated) }));
  if (info.verdict === "sheared") care.push(`${w.verdict}: ${w.sheared} (${Math.abs(info.tilt).toFixed(1)}°)`);
  const slopes = new Set(info.slices.map((slice) => `${slice.slope} ${slice.intercept}`));
  if (slopes.size > 1) care.push(`${w.conversion}: ${w.perSlice}`);
  if (info.slices.some((slice) => LOSSY.includes(slice.syntax))) care.push(w.lossy);
  care.push(...info.warnings, ...info.notes, ...new Set(info.slices.flatMap((slice) => slice.notes)));
  if (done.rounded) care.push(fill(w.rounded, { n: grouped(done.rounded) }));
  // What was left out of the series changes no number of it: told, not held against it.
  const told = [...new Set([...bad, ...care, ...info.leftOut.map((reason) => `${w.leftOut}: ${reason}`)])];
  return { trust: bad.length ? "bad" : care.length ? "care" : "good", reasons: told };
}

export const grouped = (n: number): string => n.toLocaleString("en").replaceAll(",", " ");

export function verdictName(verdict: string, w: Words): string {
  const known = ["regular", "sheared", "gaps", "irregular", "not a volume"] as const;
  const found = known.find((each) => each === verdict);
  return found ? w[found] : verdict;
}

export const TRUST_WORDS = { good: "trustGood", care: "trustCare", bad: "trustBad", picture: "trustPicture" } as const;

export function judgementOf(pane: PaneState): Judgement | null {
  void pane.model.version.value;
  const info = pane.model.info.value;
  return info && judge(info, pane.model.totals, words.value);
}

export function TrustBadge({ pane }: { pane: PaneState }) {
  const found = judgementOf(pane);
  if (!found) return null;
  const name = words.value[TRUST_WORDS[found.trust]];
  return (
    <button class={`badge ${found.trust}`} title={[name, ...found.reasons].join("\n")} aria-label={`${words.value.trust} ${name}`} onClick={() => (panel.value = panel.value === "numbers" ? "" : "numbers")}>
      <span class="dot" />
      <span class="badge-name">{name}</span>
    </button>
  );
}
