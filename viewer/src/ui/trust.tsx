// The trust badge: green, amber or red, with its reasons.

import type { PaneState } from "./pane_state";
import { panel } from "./session";
import { judge, type Judgement } from "./judgement";
import { language, words } from "./settings";

export const TRUST_WORDS = { good: "trustGood", care: "trustCare", bad: "trustBad", picture: "trustPicture" } as const;

export function judgementOf(pane: PaneState): Judgement | null {
  void pane.model.version.value;
  const info = pane.model.info.value;
  return info && judge(info, pane.model.totals, language.value, pane.model.slices?.progress.failed.keys(), pane.model.physics.value);
}

export function TrustBadge({ pane }: { pane: PaneState }) {
  const found = judgementOf(pane);
  if (!found || pane.model.documents.value) return null;
  const name = words.value[TRUST_WORDS[found.trust]];
  return (
    <button class={`badge ${found.trust}`} title={[name, ...found.reasons].join("\n")} aria-label={`${words.value.trust} ${name}`} onClick={() => (panel.value = panel.value === "numbers" ? "" : "numbers")}>
      <span class="dot" />
      <span class="badge-name">{name}</span>
    </button>
  );
}
