// Permissions of this server: whether instances may be stored and deleted.

import { signal } from "@preact/signals";
import { capabilities } from "../wire/lists";

export const canStore = signal(false);
export const canDelete = signal(false);

/** Asks what the server allows; until it says, nothing but looking is offered. */
export function askCapabilities(): void {
  capabilities().then(
    (allowed) => {
      canStore.value = allowed.store;
      canDelete.value = allowed.delete;
    },
    () => undefined,
  );
}
