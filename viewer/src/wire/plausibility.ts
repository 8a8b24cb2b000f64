// What physics says of a series' numbers, by the server: a verdict, its evidence, a histogram of what was looked at.

import { seriesAddress } from "./address";
import { askJson } from "./errors";
import { choiceQuery, type Choice } from "./info";

export type Verdict = "plausible" | "unknown" | "implausible";

/** A sentence in English and in Chinese. */
export interface Saying {
  readonly key: string;
  readonly en: string;
  readonly zh: string;
}

export interface Physics {
  readonly verdict: Verdict;
  readonly evidence: readonly Saying[];
  /** Of implausible numbers: what they look like. */
  readonly looksLike: Saying | null;
  /** HU of the plateaus of air and tissue, where they were found. */
  readonly air: number | null;
  readonly tissue: number | null;
  readonly histogram: { readonly first: number; readonly step: number; readonly counts: readonly number[] };
}

/** Null for another unit. */
export async function physicsOf(study: string, series: string, choice: Choice): Promise<Physics | null> {
  return parsePhysics(await askJson(`${seriesAddress(study, series)}/plausibility${choiceQuery(choice)}`));
}

const VERDICTS: readonly Verdict[] = ["plausible", "unknown", "implausible"];

/** Null for what is no verdict. */
export function parsePhysics(body: unknown): Physics | null {
  const { plausibility, histogram } = record(body);
  const found = record(plausibility);
  const verdict = VERDICTS.find((each) => each === found["verdict"]);
  if (!verdict) return null;
  const evidence = (Array.isArray(found["evidence"]) ? found["evidence"] : []).map(record);
  const place = (key: string): number | null => finite(evidence.find((each) => each["key"] === key)?.["number"]);
  const { first, step, counts } = record(histogram);
  return {
    verdict,
    evidence: evidence.map(saying),
    looksLike: found["looks_like"] ? saying(record(found["looks_like"])) : null,
    air: place("air"),
    tissue: place("tissue"),
    histogram: { first: finite(first) ?? 0, step: finite(step) || 1, counts: Array.isArray(counts) ? counts.map((count) => finite(count) ?? 0) : [] },
  };
}

type Json = Record<string, unknown>;
const record = (value: unknown): Json => (value && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {});
const finite = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const saying = (item: Json): Saying => ({ key: String(item["key"] ?? ""), en: String(item["sentence"] ?? ""), zh: String(item["sentence_zh"] ?? "") });
