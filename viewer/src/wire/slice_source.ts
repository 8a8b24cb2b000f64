// Slices by number, from the server's own endpoint, through the worker.

import type { Fetch } from "../volume/slices";
import { seriesAddress } from "./address";
import { choiceQuery, type Choice } from "./info";
import { WireError } from "./errors";
import { authorization } from "./session";
import { readSlice, type SliceReply, type SliceRequest } from "./slice_reader";

/** Voxels of one slice to which something was done. */
export interface SliceCounts {
  readonly padded: number;
  readonly clamped: number;
  readonly saturated: number;
  readonly rounded: number;
}

interface Waiting {
  resolve(values: Int16Array): void;
  counted(counts: SliceCounts): void;
  reject(error: Error): void;
}

let worker: Worker | null = null;
let ready = false;
let nextId = 0;
const waiting = new Map<number, Waiting>();

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
    for (const [id, each] of waiting) {
      waiting.delete(id);
      each.reject(new WireError("lost", "the worker that fetches slices stopped"));
    }
    worker = null;
    ready = false;
  };
  return started;
}

function settle(reply: SliceReply): void {
  const each = waiting.get(reply.id);
  waiting.delete(reply.id);
  if (!each) return;
  if ("buffer" in reply) {
    each.counted(parseCounts(reply.counts));
    each.resolve(new Int16Array(reply.buffer));
  } else each.reject(new WireError(reply.kind, reply.error, reply.status));
}

/** `padded=1,clamped=2,…` of X-Counts. */
export function parseCounts(text: string): SliceCounts {
  const found = new Map(text.split(",").map((pair) => pair.split("=") as [string, string]));
  const count = (name: string): number => Number.parseInt(found.get(name) ?? "0", 10) || 0;
  return { padded: count("padded"), clamped: count("clamped"), saturated: count("saturated"), rounded: count("rounded") };
}

/** The first slices are not made to wait for the worker. */
function bringHere(request: SliceRequest, signal: AbortSignal): void {
  readSlice(request, signal).then(settle, (error: unknown) => settle({ id: request.id, error: String(error), kind: "lost", status: 0 }));
}

/** `Fetch` of one series; `rows` × `columns` values a slice; `counted` is told what was done to each slice. */
export function sliceSource(study: string, series: string, choice: Choice, rows: number, columns: number, counted: (index: number, counts: SliceCounts) => void): Fetch {
  const query = choiceQuery(choice);
  const base = `${seriesAddress(study, series)}/slices/`;
  return (index, signal) =>
    new Promise((resolve, reject) => {
      warmUp();
      const id = nextId++;
      waiting.set(id, { resolve, reject, counted: (counts) => counted(index, counts) });
      const request: SliceRequest = { id, address: base + index + query, values: rows * columns, headers: authorization() };
      if (ready) worker!.postMessage(request);
      else bringHere(request, signal);
      signal.addEventListener("abort", () => {
        if (!waiting.delete(id)) return;
        worker?.postMessage({ cancel: id });
        reject(new DOMException("aborted", "AbortError"));
      });
    });
}
