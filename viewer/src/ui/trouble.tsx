// An error as what it is, with a way to try again.

import { WireError } from "../wire/errors";
import { words } from "./settings";
import type { Words } from "./words";

export function explain(error: Error, w: Words): string {
  if (error instanceof WireError && error.kind === "lost") return w.lost;
  if (error instanceof WireError && error.kind === "unauthorized") return w.unauthorized;
  return w.failed;
}

export function Trouble({ error, retry }: { error: Error; retry: () => void }) {
  const w = words.value;
  return (
    <div class="trouble" role="alert">
      <strong>{explain(error, w)}</strong>
      <p>{error.message}</p>
      <button class="primary" onClick={retry}>
        {w.retry}
      </button>
    </div>
  );
}
