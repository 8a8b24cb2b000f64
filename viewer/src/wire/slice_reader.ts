// One slice over HTTP: its bytes, their CRC-32 checked, what was done to it. Int16 little-endian is every browser's own.

import { crc32Text } from "./crc32";

export interface SliceRequest {
  readonly id: number;
  readonly address: string;
  readonly values: number;
  readonly headers: Readonly<Record<string, string>>;
}

export type SliceReply =
  | { readonly id: number; readonly buffer: ArrayBuffer; readonly counts: string }
  | { readonly id: number; readonly error: string; readonly kind: "lost" | "refused" | "unauthorized" | "corrupt"; readonly status: number };

/** Never rejects but for an abort or a lost server. */
export async function readSlice({ id, address, values, headers }: SliceRequest, signal: AbortSignal): Promise<SliceReply> {
  // Kept in memory here: a second copy in the browser's cache would only cost time.
  const answer = await fetch(address, { signal, headers, cache: "no-store" });
  if (!answer.ok) return { id, error: await reason(answer), kind: answer.status === 401 || answer.status === 403 ? "unauthorized" : "refused", status: answer.status };
  const expected = answer.headers.get("X-CRC32");
  const buffer = await answer.arrayBuffer();
  if (buffer.byteLength !== values * 2) return { id, error: `${buffer.byteLength} bytes instead of ${values * 2}`, kind: "corrupt", status: 200 };
  if (expected && crc32Text(new Uint8Array(buffer)) !== expected.toLowerCase()) return { id, error: `CRC-32 is not ${expected}`, kind: "corrupt", status: 200 };
  return { id, buffer, counts: answer.headers.get("X-Counts") ?? "" };
}

async function reason(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    return String((JSON.parse(text) as { error?: unknown }).error ?? text).slice(0, 300);
  } catch {
    return text.slice(0, 300) || answer.statusText;
  }
}
