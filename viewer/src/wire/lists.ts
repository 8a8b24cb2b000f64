// Lists of series and instances by QIDO-RS, as plain objects, and what else is asked of an archive.

import { instanceAddress, root, seriesAddress, studyAddress } from "./address";
import { asObjects, number, text, type DicomJson } from "./dicom_json";
import { ask, askJson } from "./errors";

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
  readonly sopClass: string;
  readonly frames: number;
  readonly rows: number | undefined;
  readonly columns: number | undefined;
  /** Frames a second that it asks to be shown at; null where it does not say. */
  readonly rate: number | null;
  /** Whose it is and what, by DICOM keyword. */
  readonly header: Readonly<Record<string, string>>;
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

const FACTS: Readonly<Record<string, string>> = {
  PatientName: "00100010",
  PatientID: "00100020",
  StudyDate: "00080020",
  StudyDescription: "00081030",
  Modality: "00080060",
  SeriesNumber: "00200011",
  SeriesDescription: "0008103E",
};

const factsOf = (item: DicomJson): Record<string, string> => Object.fromEntries(Object.entries(FACTS).map(([keyword, tag]) => [keyword, text(item, tag)]));

/** Frames a second that screens show. */
const MOST_FRAMES = 60;

/** Recommended Display Frame Rate, Cine Rate, or what Frame Time (ms) comes to (PS3.3 C.7.6.5.1). */
export function frameRateOf(item: DicomJson): number | null {
  const [recommended, cine, time] = [number(item, "00082144"), number(item, "00180040"), number(item, "00181063")];
  const rate = [recommended, cine, time && 1000 / time].find((each) => each !== undefined && each > 0);
  return rate ? Math.min(rate, MOST_FRAMES) : null;
}

const PICTURE_FIELDS = "NumberOfFrames,InstanceNumber,Rows,Columns,RecommendedDisplayFrameRate,CineRate,FrameTime";

export async function instancesOf(study: string, series: string): Promise<Instance[]> {
  const query = new URLSearchParams({ includefield: [PICTURE_FIELDS, ...Object.keys(FACTS)].join() });
  const items = asObjects(await askJson(`${seriesAddress(study, series)}/instances?${query}`));
  const place = (item: DicomJson): number => number(item, "00200013") ?? 1e9;
  return items
    .sort((a, b) => place(a) - place(b))
    .map((item) => ({ uid: text(item, "00080018"), sopClass: text(item, "00080016"), frames: number(item, "00280008") ?? 1, rows: number(item, "00280010"), columns: number(item, "00280011"), rate: frameRateOf(item), header: factsOf(item) }));
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
