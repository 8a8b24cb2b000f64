// Objects without pixels: reports, structures, segments, presentation states, files within files (docs/wire.md).

import { instanceAddress } from "./address";
import { ask, askJson } from "./errors";
import { hasToken } from "./session";
import type { Both } from "./tags";

export interface ReportNode {
  readonly name: string;
  readonly value: string;
  readonly relation: string;
  readonly children: readonly ReportNode[];
}

export interface DocumentItem {
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly colour: readonly [number, number, number] | null;
  /** Contours of a structure. */
  readonly count?: number;
  readonly detail?: string;
}

export type DocumentKind = "report" | "pdf" | "model" | "document" | "structures" | "segments" | "presentation" | "other";

export interface DocumentInfo {
  readonly kind: DocumentKind;
  readonly title: string;
  readonly facts: readonly { readonly name: Both; readonly value: string }[];
  readonly items: readonly DocumentItem[];
  readonly tree: readonly ReportNode[];
  readonly drawn_on: readonly string[];
  readonly file: { readonly type: string; readonly bytes: number } | null;
}

export async function documentOf(study: string, series: string, instance: string): Promise<DocumentInfo> {
  return (await askJson(`${instanceAddress(study, series, instance)}/document`)) as DocumentInfo;
}

/** The address of the file within an object that a link may open: "" where one must be signed in for it. */
export const fileAddress = (study: string, series: string, instance: string): string => (hasToken() ? "" : `${instanceAddress(study, series, instance)}/encapsulated`);

/** The file within an object, as bytes. */
export async function fileOf(study: string, series: string, instance: string): Promise<Blob> {
  const answer = await ask(`${instanceAddress(study, series, instance)}/encapsulated`);
  return answer.blob();
}
