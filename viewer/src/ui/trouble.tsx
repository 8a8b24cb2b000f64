// An error as what it is, with a way to try again.

import { useState } from "preact/hooks";
import { WireError } from "../wire/errors";
import { signIn } from "../wire/session";
import { askCapabilities } from "./permissions";
import { language, words } from "./settings";
import type { Words } from "./words";

export function explain(error: Error, w: Words): string {
  if (!(error instanceof WireError)) return w.failed;
  if (error.kind === "lost") return w.lost;
  if (error.kind === "unauthorized") return w.unauthorized;
  if (error.kind === "missing") return w.missingThere;
  if (error.kind === "corrupt") return w.corrupt;
  if (error.kind === "malformed") return w.notUnderstood;
  if (error.status === 413) return w.tooLarge;
  return error.status >= 500 ? w.serverFailed : w.failed;
}

/** In one line: in English the server's own words, which say more; in Chinese what kind of trouble it is. */
export function shortly(error: Error): string {
  return language.value === "en" && !isLost(error) ? error.message : explain(error, words.value);
}

/** Why something could not be, without a status: in Chinese where the server says it so. */
export function reasonOf(error: Error): string {
  if (isLost(error)) return words.value.lost;
  // Rather in English than not at all.
  if (language.value === "zh" && error instanceof WireError && error.chinese) return error.chinese;
  return error.message.replace(/^\d{3} /, "");
}

/** A server that does not answer says nothing: what the browser calls that helps nobody. */
const isLost = (error: Error): boolean => error instanceof WireError && error.kind === "lost";

/** The server's own words, which are English: in Chinese only for who asks for them. */
function OwnWords({ error }: { error: Error }) {
  if (isLost(error)) return null;
  if (language.value === "en") return <p>{error.message}</p>;
  if (error instanceof WireError && error.chinese) return <p>{error.chinese}</p>;
  return (
    <details>
      <summary>{words.value.ownWords}</summary>
      <p lang="en">{error.message}</p>
    </details>
  );
}

export function Trouble({ error, retry }: { error: Error; retry: () => void }) {
  const w = words.value;
  return (
    <div class="trouble" role="alert">
      <strong>{explain(error, w)}</strong>
      <OwnWords error={error} />
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
