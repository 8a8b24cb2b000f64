// The studies: searched by the server, sorted here, opened with one click.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { remove, seriesOf, studies, type Series, type Study } from "../wire/lists";
import { Icon, IconButton } from "./icons";
import { SeriesCard } from "./series_rail";
import { show } from "./session";
import { words } from "./settings";
import { PageButtons } from "./toolbar";
import { Trouble } from "./trouble";
import { canDelete, canStore, UploadButton, uploads } from "./upload";
import { searchText } from "./url_state";
import type { Word } from "./words";

type Key = "patient" | "patientId" | "date" | "modalities" | "description" | "series" | "instances";

const COLUMNS: readonly (readonly [Key, Word])[] = [
  ["patient", "patient"],
  ["patientId", "patientId"],
  ["date", "date"],
  ["modalities", "modality"],
  ["description", "description"],
  ["series", "seriesCount"],
  ["instances", "images"],
];

const sort = signal<{ key: Key; down: boolean }>({ key: "date", down: true });

function sorted(items: readonly Study[]): Study[] {
  const { key, down } = sort.value;
  const order = (a: Study, b: Study): number => {
    const [x, y] = [a[key] ?? "", b[key] ?? ""];
    return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
  };
  return [...items].sort((a, b) => (down ? -order(a, b) : order(a, b)));
}

interface Found {
  readonly items: readonly Study[];
  readonly more: boolean;
}

function useStudies(): { found: Found | null; error: Error | null; reload: () => void; showMore: () => void } {
  const search = searchText.value;
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  const load = (offset: number, before: readonly Study[]): (() => void) => {
    let left = false;
    studies(search.trim(), offset).then(
      (page) => left || (setFound({ items: [...before, ...page.items.filter((item) => !before.some((each) => each.uid === item.uid))], more: page.more }), setError(null)),
      (failure: unknown) => left || setError(failure instanceof Error ? failure : new Error(String(failure))),
    );
    return () => (left = true);
  };
  useEffect(() => {
    let stop = (): void => undefined;
    const timer = setTimeout(() => (stop = load(0, [])), found ? 200 : 0);
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [search, round, uploads.value]);
  return { found, error, reload: () => setRound(round + 1), showMore: () => void (found && load(found.items.length, found.items)) };
}

export function StudyList() {
  const w = words.value;
  const { found, error, reload, showMore } = useStudies();
  return (
    <div class="list-page">
      <header class="list-bar">
        <h1>
          <span class="mark">HU</span> {w.studies}
        </h1>
        <label class="search">
          <Icon name="search" />
          <input type="search" placeholder={w.search} aria-label={w.search} value={searchText.value} onInput={(event) => (searchText.value = event.currentTarget.value)} />
        </label>
        <UploadButton />
        <PageButtons />
      </header>
      <main>
        {error ? <Trouble error={error} retry={reload} /> : !found ? <p class="quiet centred">{w.loading}</p> : <Table found={found} reload={reload} />}
        {found?.more && (
          <button class="more" onClick={showMore}>
            {w.more}
          </button>
        )}
      </main>
    </div>
  );
}

function Table({ found, reload }: { found: Found; reload: () => void }) {
  const w = words.value;
  const { key, down } = sort.value;
  if (!found.items.length) return <p class="quiet centred">{searchText.value ? w.noMatch : canStore.value ? w.noStudies : w.noStudiesReadOnly}</p>;
  return (
    <table class="studies">
      <thead>
        <tr>
          {COLUMNS.map(([name, word]) => (
            <th key={name} class={`column-${name}`} aria-sort={key === name ? (down ? "descending" : "ascending") : "none"}>
              <button onClick={() => (sort.value = { key: name, down: key === name ? !down : false })}>
                {w[word]} {key === name && <span aria-hidden="true">{down ? "↓" : "↑"}</span>}
              </button>
            </th>
          ))}
          <td class="column-remove" />
        </tr>
      </thead>
      {sorted(found.items).map((study) => (
        <Row key={study.uid} study={study} reload={reload} alone={found.items.length === 1} />
      ))}
    </table>
  );
}

function Row({ study, reload, alone }: { study: Study; reload: () => void; alone: boolean }) {
  const w = words.value;
  const [open, setOpen] = useState(alone);
  return (
    <tbody class={open ? "open" : ""}>
      <tr onClick={() => setOpen(!open)}>
        <td class="column-patient">
          <button class="study-open" aria-expanded={open} onClick={(event) => (event.stopPropagation(), setOpen(!open))}>
            <Icon name="back" />
            {study.patient || w.anonymous}
          </button>
        </td>
        <td class="column-patientId">{study.patientId}</td>
        <td class="column-date">{study.date}</td>
        <td class="column-modalities">{study.modalities}</td>
        <td class="column-description">{study.description}</td>
        <td class="column-series">{study.series}</td>
        <td class="column-instances">{study.instances}</td>
        <td class="column-remove">{canDelete.value && <Remove study={study} reload={reload} />}</td>
      </tr>
      {open && (
        <tr class="cards-row">
          <td colSpan={COLUMNS.length + 1}>
            <Cards study={study.uid} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

function Cards({ study }: { study: string }) {
  const w = words.value;
  const [series, setSeries] = useState<Series[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    seriesOf(study).then(
      (found) => (setSeries(found), setError(null)),
      (failure: unknown) => setError(failure instanceof Error ? failure : new Error(String(failure))),
    );
  }, [study, round, uploads.value]);
  if (error) return <Trouble error={error} retry={() => setRound(round + 1)} />;
  if (!series) return <p class="quiet">{w.loading}</p>;
  return (
    <div class="cards">
      {series.map((each) => (
        <SeriesCard key={each.uid} series={each} current={false} open={() => void show(study, each.uid, { alone: true })} beside={null} />
      ))}
    </div>
  );
}

/** Two clicks, the second on a button that says what it does. */
function Remove({ study, reload }: { study: Study; reload: () => void }) {
  const w = words.value;
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState("");
  const go = (): void => {
    remove(study.uid).then(reload, (failure: unknown) => setError(failure instanceof Error ? failure.message : String(failure)));
  };
  const stop = (event: Event): void => event.stopPropagation();
  if (!asking) return <IconButton icon="remove" name={w.remove} onClick={() => setAsking(true)} />;
  return (
    <div class="asking" role="alertdialog" aria-label={w.removeStudy} onClick={stop}>
      <span>{error || w.removeStudy}</span>
      <button class="danger" onClick={go}>
        {w.remove}
      </button>
      <button onClick={() => setAsking(false)}>{w.cancel}</button>
    </div>
  );
}
