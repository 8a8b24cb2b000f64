// A study or series as one ZIP archive, saved by the browser.

import { seriesAddress, studyAddress } from "./address";
import { ask } from "./errors";
import { hasToken } from "./session";

/** Begins to save it; what needs a token in a header goes through memory, all else straight to the disk. */
export async function download(study: string, series?: string): Promise<void> {
  const address = series === undefined ? studyAddress(study) : seriesAddress(study, series);
  const name = `${series ?? study}.zip`;
  if (!hasToken()) {
    save(`${address}?accept=application/zip`, name);
    return;
  }
  const answer = await ask(address, { headers: { Accept: "application/zip" } });
  const url = URL.createObjectURL(await answer.blob());
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function save(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}
