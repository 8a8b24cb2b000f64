// Who asks: a bearer token that was typed in, kept for this tab only, sent as a header, never part of an address.
// Passwords are the browser's own business (HTTP Basic): it asks for them and sends them itself.

const KEY = "hounsfield.token";

function kept(): string {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // No storage (a worker, or refused): nothing is kept.
  }
}

let token = kept();

export const hasToken = (): boolean => token !== "";

export function signIn(typed: string): void {
  token = typed.trim();
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // It lasts until the page is left, then.
  }
}

/** Headers that say who asks. */
export function authorization(): Record<string, string> {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
