// Slices by number, from the server's own endpoint, through the worker.

import type { Fetch, Stream } from "../volume/slices";
import { seriesAddress } from "./address";
import { choiceQuery, type Choice } from "./info";
import { WireError } from "./errors";
import { authorization } from "./session";
import { readMany, readSlice, type SliceReply, type SliceRequest } from "./slice_reader";

/** Voxels of one slice to which something was done. */
export interface SliceCounts {
  readonly padded: number;
  readonly clamped: number;
  readonly saturated: number;
  readonly rounded: number;
}

/** Takes the replies to one request; whether it was the last. */
type Listener = (reply: SliceReply) => boolean;

let worker: Worker | null = null;
let ready = false;
let nextId = 0;
const waiting = new Map<number, Listener>();

/** Starts the worker early, while the page still waits for other answers. */
export function warmUp(): void {
  worker ??= startWorker();
}

function startWorker(): Worker {
  const started = new Worker(new URL("./slice_worker.ts", import.meta.url), { type: "module" });
  started.onmessage = (event: MessageEvent<SliceReply | { ready: true }>) => {
    if ("ready" in event.data) ready = true;
    else settle(event.data);
  };
  started.onerror = () => {
    for (const id of [...waiting.keys()]) settle(lost(id, "the worker that fetches slices stopped"));
    worker = null;
    ready = false;
  };
  return started;
}

const lost = (id: number, error: unknown): SliceReply => ({ id, error: String(error), kind: "lost", status: 0 });

function settle(reply: SliceReply): void {
  if (waiting.get(reply.id)?.(reply)) waiting.delete(reply.id);
}

/** `padded=1,clamped=2,…` of X-Counts. */
export function parseCounts(text: string): SliceCounts {
  const found = new Map(text.split(",").map((pair) => pair.split("=") as [string, string]));
  const count = (name: string): number => Number.parseInt(found.get(name) ?? "0", 10) || 0;
  return { padded: count("padded"), clamped: count("clamped"), saturated: count("saturated"), rounded: count("rounded") };
}

/** What comes before the worker is ready is not made to wait for it. */
function bringHere(request: SliceRequest, signal: AbortSignal): void {
  const failed = (error: unknown): void => settle(lost(request.id, error));
  if (request.many) readMany(request, signal, settle).catch(failed);
  else readSlice(request, signal).then(settle, failed);
}

function send(request: Omit<SliceRequest, "id" | "headers">, signal: AbortSignal, listener: Listener, aborted: () => void): void {
  warmUp();
  const id = nextId++;
  waiting.set(id, listener);
  const whole: SliceRequest = { ...request, id, headers: authorization() };
  if (ready) worker!.postMessage(whole);
  else bringHere(whole, signal);
  signal.addEventListener("abort", () => {
    if (!waiting.delete(id)) return;
    worker?.postMessage({ cancel: id });
    aborted();
  });
}

const failure = (reply: Extract<SliceReply, { error: string }>): WireError => new WireError(reply.kind, reply.error, reply.status);

export interface SliceSource {
  readonly one: Fetch;
  readonly many: Stream;
}

/** The slices of one series; `rows` × `columns` values a slice; `counted` is told what was done to each slice. */
export function sliceSource(study: string, series: string, choice: Choice, rows: number, columns: number, counted: (index: number, counts: SliceCounts) => void): SliceSource {
  const base = `${seriesAddress(study, series)}/slices`;
  const values = rows * columns;
  const one: Fetch = (index, signal) =>
    new Promise((resolve, reject) => {
      const listener: Listener = (reply) => {
        if ("buffer" in reply) {
          counted(index, parseCounts(reply.counts));
          resolve(new Int16Array(reply.buffer));
        } else if ("error" in reply) reject(failure(reply));
        return true;
      };
      send({ address: `${base}/${index}${choiceQuery(choice)}`, values }, signal, listener, () => reject(new DOMException("aborted", "AbortError")));
    });
  const many: Stream = (from, most, take, signal) =>
    streamSlices(`${base}${choiceQuery(choice, { from, most })}`, values, signal, (index, reply) => {
      if (!(reply instanceof Error)) counted(index, parseCounts(reply.counts));
      take(index, reply instanceof Error ? reply : new Int16Array(reply.buffer));
    });
  return { one, many };
}

/** Slices of an answer of many, each `values` int16 (0: as many as come), as they come. Rejects where it breaks off. */
export function streamSlices(address: string, values: number, signal: AbortSignal, take: (index: number, reply: { readonly buffer: ArrayBuffer; readonly counts: string } | Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const listener: Listener = (reply) => {
      if ("done" in reply) resolve();
      else if (reply.index === undefined) reject("error" in reply ? failure(reply) : new WireError("malformed", "a slice without its number"));
      else {
        take(reply.index, "error" in reply ? failure(reply) : reply);
        return false;
      }
      return true;
    };
    send({ address, values, many: true }, signal, listener, () => reject(new DOMException("aborted", "AbortError")));
  });
}
