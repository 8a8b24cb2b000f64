// Fetches slices away from the page, and hands their buffers over without a copy.

import { readMany, readSlice, type SliceReply, type SliceRequest } from "./slice_reader";

const running = new Map<number, AbortController>();

self.onmessage = (event: MessageEvent<SliceRequest | { cancel: number }>) => {
  if ("cancel" in event.data) running.get(event.data.cancel)?.abort();
  else void bring(event.data);
};

function post(reply: SliceReply): void {
  if ("buffer" in reply) self.postMessage(reply, { transfer: [reply.buffer] });
  else self.postMessage(reply);
}

async function bring(request: SliceRequest): Promise<void> {
  const controller = new AbortController();
  running.set(request.id, controller);
  try {
    if (request.many) await readMany(request, controller.signal, post);
    else post(await readSlice(request, controller.signal));
  } catch (error) {
    post({ id: request.id, error: String(error), kind: "lost", status: 0 });
  } finally {
    running.delete(request.id);
  }
}

self.postMessage({ ready: true });
