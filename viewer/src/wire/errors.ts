// What can go wrong between the page and the server, as one class that says which kind it was.

import { authorization } from "./session";

export type WireFailure = "lost" | "refused" | "missing" | "unauthorized" | "malformed" | "corrupt";

export class WireError extends Error {
  constructor(
    readonly kind: WireFailure,
    message: string,
    readonly status = 0,
    /** The same in Chinese, where the server says it. */
    readonly chinese = "",
  ) {
    super(message);
    this.name = "WireError";
  }
}

/** The error that an answer other than 2xx stands for; its text is whatever the server said, shortened. */
export async function refusal(answer: Response): Promise<WireError> {
  const kind = answer.status === 401 || answer.status === 403 ? "unauthorized" : answer.status === 404 ? "missing" : "refused";
  const { english, chinese } = await reason(answer);
  return new WireError(kind, `${answer.status} ${english}`.trim(), answer.status, chinese);
}

async function reason(answer: Response): Promise<{ english: string; chinese: string }> {
  const text = await answer.text().catch(() => "");
  try {
    const body: unknown = JSON.parse(text);
    if (body && typeof body === "object") {
      const said = (key: string): string => String((body as Record<string, unknown>)[key] ?? "").slice(0, 400);
      const english = ["error", "message", "detail", "reason"].map(said).find(Boolean);
      if (english) return { english: said("expected") ? `${english} (${said("expected")})` : english, chinese: said("error_zh") };
    }
  } catch {
    // Not JSON: the text itself.
  }
  return { english: text.trim().slice(0, 400) || answer.statusText, chinese: "" };
}

/** `fetch` whose every failure is a `WireError`; a lost server is told from one that refuses. */
export async function ask(address: string, init?: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, { ...init, headers: { ...authorization(), ...(init?.headers as Record<string, string>) } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new WireError("lost", String(error instanceof Error ? error.message : error));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function askJson(address: string, init?: RequestInit): Promise<unknown> {
  const answer = await ask(address, { ...init, headers: { Accept: "application/dicom+json, application/json", ...(init?.headers as Record<string, string>) } });
  if (answer.status === 204) return [];
  const text = await answer.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new WireError("malformed", "the answer is not JSON", answer.status);
  }
}
