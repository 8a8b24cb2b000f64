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

export const PAGE = 100;

export interface StudyPage {
  readonly items: Study[];
  readonly more: boolean;
}

/** Studies whose patient, ID, accession number or description holds `search`, or whose UID it is. */
export async function studies(search: string, offset: number): Promise<StudyPage> {
  if (!search) return studyPage({}, offset);
  const like = `*${search.replaceAll(/[*?\\]/g, "?")}*`;
  const queries: Record<string, string>[] = [{ PatientName: like }, { PatientID: like }, { StudyDescription: like }, { AccessionNumber: like }];
  if (/^[0-9.]{5,64}$/.test(search)) queries.push({ StudyInstanceUID: search });
  // QIDO-RS has no "or": one query each, merged.
  const pages = await Promise.all(queries.map((query) => studyPage(query, offset)));
  const found = new Map(pages.flatMap((page) => page.items.map((item) => [item.uid, item] as const)));
  return { items: [...found.values()], more: pages.some((page) => page.more) };
}

async function studyPage(filter: Readonly<Record<string, string>>, offset: number): Promise<StudyPage> {
  const query = new URLSearchParams({ limit: String(PAGE), offset: String(offset), ...filter });
  query.set("includefield", "StudyDescription,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,ModalitiesInStudy");
  const answer = await ask(`${studiesAddress()}?${query}`, { headers: { Accept: "application/dicom+json" } });
  const items = answer.status === 204 ? [] : asObjects(await answer.json()).map(study);
  return { items, more: /additional results/.test(answer.headers.get("Warning") ?? "") };
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
