// The tags of one instance as rows, grouped and named in English and Chinese by the server.

import { instanceAddress } from "./address";
import { askJson, WireError } from "./errors";

export type Both = readonly [english: string, chinese: string];

export interface TagRow {
  readonly group: Both;
  readonly depth: number;
  readonly number: string;
  readonly keyword: string;
  readonly vr: string;
  readonly name: Both;
  readonly value: string;
  readonly explanation: Both;
  /** How many values the slices of the series have; 1 where they agree. */
  readonly distinct: number;
}

export async function instanceTags(study: string, series: string, instance: string): Promise<TagRow[]> {
  const body = (await askJson(`${instanceAddress(study, series, instance)}/tags`)) as { rows?: unknown };
  if (!Array.isArray(body?.rows)) throw new WireError("malformed", "the answer holds no rows");
  return body.rows as TagRow[];
}

/** The rows that mention `search`, together with the sequences they stand in. */
export function filterRows(rows: readonly TagRow[], search: string, varyingOnly: boolean): TagRow[] {
  const wanted = search.trim().toLowerCase();
  const kept = new Set<number>();
  const above: number[] = [];
  rows.forEach((row, index) => {
    above.length = Math.min(above.length, row.depth);
    above[row.depth] = index;
    const mentions = !wanted || [row.number, row.number.replace(/\W/g, ""), row.keyword, ...row.name, row.value, ...row.explanation].some((field) => field.toLowerCase().includes(wanted));
    if (mentions && (!varyingOnly || row.distinct > 1)) for (const each of above) if (each !== undefined) kept.add(each);
  });
  return rows.filter((_, index) => kept.has(index));
}
