// Uploads by STOW-RS (PS3.18 10.5): a few files a request, and what became of each.

import { studiesAddress } from "./address";
import { asObjects, text, values, type DicomJson } from "./dicom_json";
import { WireError } from "./errors";
import { authorization } from "./session";

export interface Stored {
  readonly stored: number;
  readonly failed: number;
  /** The server's reasons, without repetition. */
  readonly reasons: readonly string[];
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

export async function store(files: readonly File[]): Promise<Stored> {
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
  return outcome(said, files.length);
}

/** Counts from the store's answer (PS3.18 10.5.3). */
export function outcome(said: string, sent: number): Stored {
  const body = parsed(said);
  const items = (tag: string): DicomJson[] => asObjects(values(body[tag]));
  const failures = items("00081198");
  const others = items("0008119A");
  const stored = items("00081199").length;
  const reasons = [...failures, ...others].map((item) => text(item, "00081197")).filter(Boolean);
  return { stored, failed: Math.max(failures.length + others.length, sent - stored), reasons: [...new Set(reasons)] };
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
