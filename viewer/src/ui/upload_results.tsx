// What became of an upload: counts as it goes, then every file with its result, what was refused first.

import type { FileResult, Outcome } from "../wire/store";
import { Icon } from "./icons";
import { saveAs } from "./png";
import { language, words } from "./settings";
import { fill, type Word } from "./words";

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly results: readonly FileResult[];
  readonly over: boolean;
}

const OUTCOMES: Record<Outcome, Word> = { stored: "uploaded", warned: "uploadWarned", refused: "refused", unconfirmed: "unconfirmed" };
const ORDER: readonly Outcome[] = ["refused", "unconfirmed", "warned", "stored"];
/** Rows that are drawn; all of them are in the list that can be saved. */
const MOST_ROWS = 500;

/** Reasons of PS3.18 Table I.2-2, PS3.7 C.5 and PS3.4 B.2.3; ranges by their first code. */
const REASONS: Readonly<Record<number, Word>> = {
  0x0110: "reasonProcessing",
  0x0111: "reasonDuplicate",
  0x0117: "reasonUid",
  0x0122: "reasonClass",
  0x0124: "reasonAuthorised",
  0xa700: "reasonResources",
  0xa900: "reasonMismatch",
  0xb000: "reasonChanged",
  0xb006: "reasonDiscarded",
  0xb007: "reasonMismatch",
  0xc000: "reasonUnderstood",
  0xc122: "reasonSyntax",
};

export function reasonText({ code, comment }: FileResult): string {
  const w = words.value;
  const word = REASONS[code] ?? REASONS[code & 0xff00] ?? REASONS[code & 0xf000];
  const found = word ? w[word] : code ? fill(w.reasonCode, { code: code.toString(16).toUpperCase().padStart(4, "0") }) : "";
  return [found, language.value === "en" || !code ? comment : ""].filter(Boolean).join(": ");
}

const csv = (results: readonly FileResult[]): string =>
  ["file,SOPInstanceUID,result,reason", ...results.map((each) => [each.name, each.uid, each.outcome, reasonText(each)].map((cell) => `"${cell.replace(/^[=+\-@]/, "'$&").replaceAll('"', '""')}"`).join(","))].join("\r\n");

export function UploadProgress({ now, close }: { now: Progress; close: () => void }) {
  const w = words.value;
  const counts = ORDER.map((outcome) => [outcome, now.results.filter((each) => each.outcome === outcome).length] as const);
  const rows = ORDER.flatMap((outcome) => now.results.filter((each) => each.outcome === outcome));
  const said = counts.filter(([outcome, count]) => count > 0 || outcome === "stored").map(([outcome, count]) => `${count} ${w[OUTCOMES[outcome]]}`);
  return (
    <section class="upload-progress" aria-label={w.upload}>
      <div role="status">
        <strong>{now.over ? w.upload : w.uploading}</strong>
        <span> {said.reverse().join(" · ")}</span>
      </div>
      {!now.over && <progress max={now.total} value={now.done} aria-label={w.uploading} />}
      {now.over && (
        <>
          <details open={rows[0]?.outcome !== "stored"}>
            <summary>{w.everyFile}</summary>
            <ul class="upload-results" tabIndex={0} aria-label={w.everyFile}>
              {rows.slice(0, MOST_ROWS).map((each, k) => (
                <li key={k} class={each.outcome}>
                  <span class="upload-file">{each.name}</span>
                  <span>{w[OUTCOMES[each.outcome]]}</span>
                  {each.outcome !== "stored" && <small>{reasonText(each)}</small>}
                </li>
              ))}
            </ul>
            <button onClick={() => saveAs(new Blob([`\ufeff${csv(rows)}`], { type: "text/csv" }), "upload.csv")}>{w.exportCsv}</button>
          </details>
          <button class="small" aria-label={w.close} onClick={close}>
            <Icon name="close" />
          </button>
        </>
      )}
    </section>
  );
}
