// Fetches slices away from the page: checks the CRC-32, swaps nothing (int16 little-endian is every browser's own),
// hands the buffer over without a copy.

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

const running = new Map<number, AbortController>();

self.onmessage = (event: MessageEvent<SliceRequest | { cancel: number }>) => {
  if ("cancel" in event.data) running.get(event.data.cancel)?.abort();
  else void bring(event.data);
};

async function bring(request: SliceRequest): Promise<void> {
  const controller = new AbortController();
  running.set(request.id, controller);
  try {
    const reply = await read(request, controller.signal);
    if ("buffer" in reply) self.postMessage(reply, { transfer: [reply.buffer] });
    else self.postMessage(reply);
  } catch (error) {
    self.postMessage({ id: request.id, error: String(error), kind: "lost", status: 0 } satisfies SliceReply);
  } finally {
    running.delete(request.id);
  }
}

async function read({ id, address, values, headers }: SliceRequest, signal: AbortSignal): Promise<SliceReply> {
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
