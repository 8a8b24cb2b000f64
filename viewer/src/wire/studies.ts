// A search for studies by QIDO-RS: page by page, in the order that is asked for, as plain objects.

import { studiesAddress } from "./address";
import { asObjects, dateText, number, text, texts, type DicomJson } from "./dicom_json";
import { ask } from "./errors";

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

/** What studies are sorted by: the attribute that the server orders them by. */
const ORDERS = {
  patient: "PatientName",
  patientId: "PatientID",
  date: "StudyDate",
  modalities: "ModalitiesInStudy",
  description: "StudyDescription",
  series: "NumberOfStudyRelatedSeries",
  instances: "NumberOfStudyRelatedInstances",
} as const;

export type StudyKey = keyof typeof ORDERS;

export interface StudyOrder {
  readonly key: StudyKey;
  readonly down: boolean;
}

const PAGE = 100;

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
  private readonly found = new Map<string, Study>();

  constructor(
    search: string,
    private readonly order: StudyOrder,
  ) {
    const like = `*${search.replaceAll(/[*?\\]/g, "?")}*`;
    const filters: Record<string, string>[] = search ? [{ PatientName: like }, { PatientID: like }, { StudyDescription: like }, { AccessionNumber: like }] : [{}];
    if (/^[0-9.]{5,64}$/.test(search)) filters.push({ StudyInstanceUID: search });
    const orderby = (order.down ? "-" : "") + ORDERS[order.key];
    this.cursors = filters.map((filter) => ({ filter: { ...filter, orderby }, offset: 0, more: true, remaining: 0 }));
  }

  get more(): boolean {
    return this.cursors.some((cursor) => cursor.more);
  }

  /** How many there are in all, as far as the server says; of a search, at most so many. */
  get total(): number {
    return this.found.size + this.cursors.reduce((sum, cursor) => sum + cursor.remaining, 0);
  }

  /** Fetches the next page of each query; all studies so far. */
  async next(): Promise<readonly Study[]> {
    const pages = await Promise.all(this.cursors.filter((cursor) => cursor.more).map(page));
    for (const item of pages.flat()) this.found.set(item.uid, item);
    const items = [...this.found.values()];
    // One query comes in the server's order; of several, each does.
    return this.cursors.length === 1 ? items : items.sort((a, b) => compared(a, b, this.order));
  }
}

const collator = new Intl.Collator();

/** As the server orders: what has no value comes last, whichever way. */
function compared(a: Study, b: Study, { key, down }: StudyOrder): number {
  const [x, y] = [a[key] ?? "", b[key] ?? ""];
  if (x === "" || y === "") return Number(x === "") - Number(y === "");
  const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
  return down ? -order : order;
}

async function page(cursor: Cursor): Promise<Study[]> {
  const query = new URLSearchParams({ limit: String(PAGE), offset: String(cursor.offset), ...cursor.filter });
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
