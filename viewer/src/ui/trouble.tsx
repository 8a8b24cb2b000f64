// An error as what it is, with a way to try again.

import { useState } from "preact/hooks";
import { WireError } from "../wire/errors";
import { signIn } from "../wire/session";
import { words } from "./settings";
import { askCapabilities } from "./upload";
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
      {error instanceof WireError && error.kind === "unauthorized" && <SignIn done={retry} />}
      <button class="primary" onClick={retry}>
        {w.retry}
      </button>
    </div>
  );
}

/** A server that takes tokens is given one here; passwords are asked for by the browser itself. */
function SignIn({ done }: { done: () => void }) {
  const w = words.value;
  const [typed, setTyped] = useState("");
  const go = (event: Event): void => {
    event.preventDefault();
    signIn(typed);
    askCapabilities();
    done();
  };
  return (
    <form class="row" onSubmit={go}>
      <input type="password" autocomplete="off" aria-label={w.token} placeholder={w.token} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      <button class="primary" disabled={!typed.trim()}>
        {w.signIn}
      </button>
    </form>
  );
}
