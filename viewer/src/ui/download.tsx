// The button that saves a study or series as a ZIP archive.

import { useState } from "preact/hooks";
import { download } from "../wire/download";
import { IconButton } from "./icons";
import { words } from "./settings";
import { shortly } from "./trouble";

export function Download({ study, series }: { study: string; series?: string }) {
  const w = words.value;
  const [state, setState] = useState<"" | "busy" | { readonly error: string }>("");
  const go = (): void => {
    setState("busy");
    download(study, series).then(
      () => setState(""),
      (failure: unknown) => setState({ error: shortly(failure instanceof Error ? failure : new Error(String(failure))) }),
    );
  };
  const name = series === undefined ? w.downloadStudy : w.downloadSeries;
  const said = state === "busy" ? w.downloading : state === "" ? name : `${name}: ${state.error}`;
  return <IconButton icon="download" name={said} disabled={state === "busy"} onClick={go} />;
}
