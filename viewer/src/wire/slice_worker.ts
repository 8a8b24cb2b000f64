// Fetches slices away from the page, and hands their buffers over without a copy.

import { readSlice, type SliceReply, type SliceRequest } from "./slice_reader";

const running = new Map<number, AbortController>();

self.onmessage = (event: MessageEvent<SliceRequest | { cancel: number }>) => {
  if ("cancel" in event.data) running.get(event.data.cancel)?.abort();
  else void bring(event.data);
};

async function bring(request: SliceRequest): Promise<void> {
  const controller = new AbortController();
  running.set(request.id, controller);
  try {
    const reply = await readSlice(request, controller.signal);
    if ("buffer" in reply) self.postMessage(reply, { transfer: [reply.buffer] });
    else self.postMessage(reply);
  } catch (error) {
    self.postMessage({ id: request.id, error: String(error), kind: "lost", status: 0 } satisfies SliceReply);
  } finally {
    running.delete(request.id);
  }
}

self.postMessage({ ready: true });
