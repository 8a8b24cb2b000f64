// Slices over HTTP: one by one or many in one answer; their bytes, their CRC-32 checked, what was done to them.
// Int16 little-endian is every browser's own.

import { crc32Text } from "./crc32";
import { RecordReader, type SliceRecord } from "./records";

export interface SliceRequest {
  readonly id: number;
  readonly address: string;
  readonly values: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Many slices in one answer. */
  readonly many?: true;
}

/** Of a slice among many, `index` says which; the last reply to such a request has `done`, or an error without index. */
export type SliceReply =
  | { readonly id: number; readonly index?: number; readonly buffer: ArrayBuffer; readonly counts: string }
  | { readonly id: number; readonly index?: number; readonly error: string; readonly kind: "lost" | "refused" | "unauthorized" | "corrupt"; readonly status: number }
  | { readonly id: number; readonly done: true };

/** Never rejects but for an abort or a lost server. */
export async function readSlice({ id, address, values, headers }: SliceRequest, signal: AbortSignal): Promise<SliceReply> {
  // Kept in memory here: a second copy in the browser's cache would only cost time.
  const answer = await fetch(address, { signal, headers, cache: "no-store" });
  if (!answer.ok) return refused(id, answer);
  const expected = answer.headers.get("X-CRC32");
  const buffer = await answer.arrayBuffer();
  if (buffer.byteLength !== values * 2) return { id, error: `${buffer.byteLength} bytes instead of ${values * 2}`, kind: "corrupt", status: 200 };
  if (expected && crc32Text(new Uint8Array(buffer)) !== expected.toLowerCase()) return { id, error: `CRC-32 is not ${expected}`, kind: "corrupt", status: 200 };
  return { id, buffer, counts: answer.headers.get("X-Counts") ?? "" };
}

async function refused(id: number, answer: Response): Promise<SliceReply> {
  return { id, error: await reason(answer), kind: answer.status === 401 || answer.status === 403 ? "unauthorized" : "refused", status: answer.status };
}

/** Hands over each slice of an answer as it comes. Rejects for an abort or a lost server. */
export async function readMany(request: SliceRequest, signal: AbortSignal, take: (reply: SliceReply) => void): Promise<void> {
  const { id, address, headers } = request;
  const answer = await fetch(address, { signal, headers, cache: "no-store" });
  if (!answer.ok || !answer.body) return take(await refused(id, answer));
  const records = new RecordReader();
  const chunks = answer.body.getReader();
  for (let next = await chunks.read(); !next.done; next = await chunks.read()) {
    for (const record of records.push(next.value)) take(reply(request, record));
  }
  if (!records.atEnd) throw new Error("the answer is cut off");
  take({ id, done: true });
}

function reply({ id, values }: SliceRequest, { index, status, body, counts, whole }: SliceRecord): SliceReply {
  const wrong = (error: string): SliceReply => ({ id, index, error, kind: "corrupt", status });
  if (!whole) return wrong("CRC-32 does not match");
  if (status !== 200) return { id, index, error: new TextDecoder().decode(body), kind: "refused", status };
  if (values && body.byteLength !== values * 2) return wrong(`${body.byteLength} bytes instead of ${values * 2}`);
  return { id, index, buffer: body, counts: COUNTED.map((name, at) => `${name}=${counts[at]}`).join() };
}

const COUNTED = ["padded", "clamped", "saturated", "rounded"] as const;

async function reason(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    return String((JSON.parse(text) as { error?: unknown }).error ?? text).slice(0, 300);
  } catch {
    return text.slice(0, 300) || answer.statusText;
  }
}
