// Uploads by STOW-RS (PS3.18 10.5): a few files a request, and what became of each.

import { studiesAddress } from "./address";
import { asObjects, number, text, values, type DicomJson } from "./dicom_json";
import { WireError } from "./errors";
import { authorization } from "./session";

export type Outcome = "stored" | "warned" | "refused" | "unconfirmed";

/** What became of one file. */
export interface FileResult {
  readonly name: string;
  /** SOP Instance UID, "" where the file tells none. */
  readonly uid: string;
  readonly outcome: Outcome;
  /** Failure or Warning Reason (PS3.18 Table I.2-2), 0 for none. */
  readonly code: number;
  /** What the server says beside it, in English. */
  readonly comment: string;
}

const BATCH_BYTES = 64_000_000;

/** Batches of files that go in one request each. */
export function batches<Item extends { readonly size: number }>(files: readonly Item[], limit = BATCH_BYTES): Item[][] {
  const found: Item[][] = [];
  let size = Infinity;
  for (const file of files) {
    if (size + file.size > limit) {
      found.push([]);
      size = 0;
    }
    found.at(-1)!.push(file);
    size += file.size;
  }
  return found;
}

export async function store(files: readonly File[]): Promise<FileResult[]> {
  const boundary = `hounsfield-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const pieces: BlobPart[] = [];
  for (const file of files) pieces.push(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, "\r\n");
  pieces.push(`--${boundary}--\r\n`);
  const headers = { "Content-Type": `multipart/related; type="application/dicom"; boundary=${boundary}`, Accept: "application/dicom+json", ...authorization() };
  let answer: Response;
  try {
    answer = await fetch(studiesAddress(), { method: "POST", headers, body: new Blob(pieces) });
  } catch (error) {
    throw new WireError("lost", String(error));
  }
  const said = await answer.text();
  if (answer.status !== 200 && answer.status !== 202 && answer.status !== 409) {
    throw new WireError(answer.status === 401 || answer.status === 403 ? "unauthorized" : "refused", said.slice(0, 300) || answer.statusText, answer.status);
  }
  return results(said, await Promise.all(files.map(async (file) => ({ name: file.webkitRelativePath || file.name, uid: await instanceUid(file) }))));
}

const FROM = 128;
const GROUP_BYTES = 2048;

/** Media Storage SOP Instance UID (0002,0003) of a file (PS3.10 7.1), "" where it is no DICOM file or tells none. */
export async function instanceUid(file: Blob): Promise<string> {
  const head = new DataView(await file.slice(FROM, FROM + GROUP_BYTES).arrayBuffer());
  const letters = (at: number, count: number): string => String.fromCharCode(...new Uint8Array(head.buffer, at, Math.min(count, head.byteLength - at)));
  if (head.byteLength < 8 || letters(0, 4) !== "DICM") return "";
  for (let at = 4; at + 12 <= head.byteLength && head.getUint16(at, true) === 2; ) {
    const long = ["OB", "OW", "UN", "SQ", "UT"].includes(letters(at + 4, 2));
    const length = long ? head.getUint32(at + 8, true) : head.getUint16(at + 6, true);
    const value = at + (long ? 12 : 8);
    if (head.getUint16(at + 2, true) === 3) return letters(value, length).replace(/[\0 ]+$/, "");
    at = value + length;
  }
  return "";
}

/** What the store's answer (PS3.18 10.5.3) says of each file; one that it does not speak of is not confirmed. */
export function results(said: string, files: readonly { readonly name: string; readonly uid: string }[]): FileResult[] {
  const body = parsed(said);
  const items = (tag: string): DicomJson[] => asObjects(values(body[tag]));
  const told = new Map<string, Omit<FileResult, "name" | "uid">>();
  for (const item of items("00081199")) told.set(text(item, "00081155"), verdict(item, number(item, "00081196") ? "warned" : "stored", "00081196"));
  for (const item of items("00081198")) told.set(text(item, "00081155"), verdict(item, "refused", "00081197"));
  // Of these not even a UID could be read; they come in the order of the files.
  const others = items("0008119A").map((item) => verdict(item, "refused", "00081197"));
  return files.map((file) => {
    const found = (file.uid && told.get(file.uid)) || (!file.uid && others.shift());
    return { ...file, ...(found || { outcome: "unconfirmed" as const, code: 0, comment: "" }) };
  });
}

function verdict(item: DicomJson, outcome: Outcome, tag: string): Omit<FileResult, "name" | "uid"> {
  const attributes = asObjects(values(item["00741048"]))[0];
  return { outcome, code: number(item, tag) ?? 0, comment: text(item, "00000902") || (attributes ? text(attributes, "00000902") : "") };
}

function parsed(said: string): DicomJson {
  try {
    const body: unknown = JSON.parse(said);
    const first: unknown = Array.isArray(body) ? body[0] : body;
    return first && typeof first === "object" ? (first as DicomJson) : {};
  } catch {
    return {};
  }
}
