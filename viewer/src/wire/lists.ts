// Lists of studies, series and instances by QIDO-RS, as plain objects.

import { instanceAddress, root, seriesAddress, studiesAddress, studyAddress } from "./address";
import { asObjects, dateText, number, text, texts, type DicomJson } from "./dicom_json";
import { ask, askJson } from "./errors";

export interface Study {
  readonly uid: string;
  readonly patient: string;
  readonly patientId: string;
  readonly date: string;
  readonly description: string;
  readonly accession: string;
  readonly modalities: string;
  readonly series: number | undefined;
  readonly instances: number | undefined;
}

export interface Series {
  readonly study: string;
  readonly uid: string;
  readonly number: number | undefined;
  readonly description: string;
  readonly modality: string;
  readonly instances: number | undefined;
}

export interface Instance {
  readonly uid: string;
  readonly frames: number;
  readonly rows: number | undefined;
  readonly columns: number | undefined;
}

const PAGE = 100;
/** Of a page where all is wanted. */
const LARGE_PAGE = 1000;

/** One query of a search, and how far it has come. */
interface Cursor {
  readonly filter: Readonly<Record<string, string>>;
  offset: number;
  more: boolean;
  remaining: number;
}

/**
 * Studies whose patient, ID, accession number or description holds `search`, or whose UID it is; page by page, each
 * once. QIDO-RS has no "or": one query each, merged.
 */
export class StudySearch {
  private readonly cursors: readonly Cursor[];
  private readonly seen = new Set<string>();

  constructor(search: string) {
    const like = `*${search.replaceAll(/[*?\\]/g, "?")}*`;
    const filters: Record<string, string>[] = search ? [{ PatientName: like }, { PatientID: like }, { StudyDescription: like }, { AccessionNumber: like }] : [{}];
    if (/^[0-9.]{5,64}$/.test(search)) filters.push({ StudyInstanceUID: search });
    this.cursors = filters.map((filter) => ({ filter, offset: 0, more: true, remaining: 0 }));
  }

  get more(): boolean {
    return this.cursors.some((cursor) => cursor.more);
  }

  /** How many there are in all, as far as the server says; of a search, at most so many. */
  get total(): number {
    return this.seen.size + this.cursors.reduce((sum, cursor) => sum + cursor.remaining, 0);
  }

  /** The next page; `large` for a long one. */
  async next(large = false): Promise<Study[]> {
    const pages = await Promise.all(this.cursors.filter((cursor) => cursor.more).map((cursor) => page(cursor, large ? LARGE_PAGE : PAGE)));
    const found: Study[] = [];
    for (const item of pages.flat()) {
      if (!this.seen.has(item.uid)) found.push(item);
      this.seen.add(item.uid);
    }
    return found;
  }
}

async function page(cursor: Cursor, limit: number): Promise<Study[]> {
  const query = new URLSearchParams({ limit: String(limit), offset: String(cursor.offset), ...cursor.filter });
  query.set("includefield", "StudyDescription,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,ModalitiesInStudy");
  const answer = await ask(`${studiesAddress()}?${query}`, { headers: { Accept: "application/dicom+json" } });
  const items = answer.status === 204 ? [] : asObjects(await answer.json()).map(study);
  const warning = /(\d*) ?additional results/.exec(answer.headers.get("Warning") ?? "");
  cursor.offset += items.length;
  cursor.more = warning !== null && items.length > 0;
  cursor.remaining = cursor.more ? Number(warning?.[1] ?? 0) : 0;
  return items;
}

function study(item: DicomJson): Study {
  return {
    uid: text(item, "0020000D"),
    patient: text(item, "00100010"),
    patientId: text(item, "00100020"),
    date: dateText(text(item, "00080020")),
    description: text(item, "00081030"),
    accession: text(item, "00080050"),
    modalities: texts(item, "00080061").join(" "),
    series: number(item, "00201206"),
    instances: number(item, "00201208"),
  };
}

export async function seriesOf(uid: string): Promise<Series[]> {
  const query = new URLSearchParams({ includefield: "SeriesDescription,SeriesNumber,NumberOfSeriesRelatedInstances" });
  const items = asObjects(await askJson(`${studyAddress(uid)}/series?${query}`)).map((item) => ({
    study: uid,
    uid: text(item, "0020000E"),
    number: number(item, "00200011"),
    description: text(item, "0008103E"),
    modality: text(item, "00080060"),
    instances: number(item, "00201209"),
  }));
  return items.sort((a, b) => (a.number ?? 1e9) - (b.number ?? 1e9) || a.uid.localeCompare(b.uid));
}

export async function instancesOf(study: string, series: string): Promise<Instance[]> {
  const query = new URLSearchParams({ includefield: "NumberOfFrames,InstanceNumber,Rows,Columns" });
  const items = asObjects(await askJson(`${seriesAddress(study, series)}/instances?${query}`));
  const place = (item: DicomJson): number => number(item, "00200013") ?? 1e9;
  return items
    .sort((a, b) => place(a) - place(b))
    .map((item) => ({ uid: text(item, "00080018"), frames: number(item, "00280008") ?? 1, rows: number(item, "00280010"), columns: number(item, "00280011") }))
    .filter((item) => item.rows !== undefined || item.columns !== undefined || items.length === 1);
}

export async function remove(study: string): Promise<void> {
  await ask(studyAddress(study), { method: "DELETE" });
}

export const thumbnailAddress = (study: string, series: string): string => `${seriesAddress(study, series)}/thumbnail`;

export const renderedAddress = (study: string, series: string, instance: string, frame: number): string =>
  `${instanceAddress(study, series, instance)}/frames/${frame}/rendered`;

export interface Capabilities {
  readonly store: boolean;
  readonly delete: boolean;
}

/** What is allowed here; a server that does not say allows nothing but looking. */
export async function capabilities(): Promise<Capabilities> {
  const body = (await askJson(`${root()}/capabilities`)) as Record<string, unknown>;
  return { store: body?.["store"] === true, delete: body?.["delete"] === true };
}
