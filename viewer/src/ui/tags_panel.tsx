// The tags of the slice that is shown, grouped and searchable; what differs between slices is marked.

import { useEffect, useState } from "preact/hooks";
import { filterRows, instanceTags, type TagRow } from "../wire/tags";
import type { PaneState } from "./pane_state";
import { language, words } from "./settings";
import { sliceFacts } from "./slice_facts";
import { Trouble } from "./trouble";

/** The rows of an instance; while a next one is on its way, those of the one before. */
function useTags(pane: PaneState): { rows: TagRow[] | null; error: Error | null; again: () => void } {
  const instance = sliceFacts(pane.model, pane.slice.value).instance;
  const [rows, setRows] = useState<TagRow[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!instance) return undefined;
    let left = false;
    // Who scrolls through slices is not asked to wait for the tags of each.
    const timer = setTimeout(() => {
      instanceTags(pane.model.study, pane.model.series, instance).then(
        (found) => left || (setRows(found), setError(null)),
        (failure: unknown) => left || setError(failure instanceof Error ? failure : new Error(String(failure))),
      );
    }, rows ? 120 : 0);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [instance, round]);
  return { rows, error, again: () => setRound(round + 1) };
}

export function TagsPanel({ pane }: { pane: PaneState }) {
  const w = words.value;
  const { rows, error, again } = useTags(pane);
  const [search, setSearch] = useState("");
  const [varying, setVarying] = useState(false);
  if (error) return <Trouble error={error} retry={again} />;
  if (!rows) return <p class="quiet">{w.loading}</p>;
  const shown = filterRows(rows, search, varying);
  return (
    <>
      <div class="tag-search">
        <input type="search" placeholder={w.searchTags} aria-label={w.searchTags} value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        <label class="check">
          <input type="checkbox" checked={varying} onChange={(event) => setVarying(event.currentTarget.checked)} />
          {w.onlyVarying}
        </label>
      </div>
      {!shown.length && <p class="quiet">{w.noTags}</p>}
      {groups(shown).map(([name, members]) => (
        <details key={name} open>
          <summary>
            {name} <small>{members.length}</small>
          </summary>
          <div class="tags">
            {members.map((row, index) => (
              <Tag key={index} row={row} />
            ))}
          </div>
        </details>
      ))}
    </>
  );
}

function groups(rows: readonly TagRow[]): [string, TagRow[]][] {
  const index = language.value === "zh" ? 1 : 0;
  const found = new Map<string, TagRow[]>();
  for (const row of rows) {
    const name = row.group[index];
    const members = found.get(name);
    if (members) members.push(row);
    else found.set(name, [row]);
  }
  return [...found];
}

function Tag({ row }: { row: TagRow }) {
  const w = words.value;
  const index = language.value === "zh" ? 1 : 0;
  const depth = Math.min(row.depth, 6);
  return (
    <div class={`tag depth-${depth}`} title={[row.keyword, row.vr].filter(Boolean).join(" · ")}>
      <div class="tag-name">
        {row.name[index] || row.keyword} <code>{row.number}</code>
        {row.distinct > 1 && (
          <span class="varies" title={w.varies}>
            ≠ {row.distinct}
          </span>
        )}
      </div>
      <div class="tag-value">{row.value}</div>
      {row.explanation[index] && <div class="tag-meaning">{row.explanation[index]}</div>}
    </div>
  );
}
