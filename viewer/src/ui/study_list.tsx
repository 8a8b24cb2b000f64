// The studies: searched and sorted by the server, fetched as one scrolls, opened with one click.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { remove, seriesOf, type Series } from "../wire/lists";
import { StudySearch, type Study, type StudyKey, type StudyOrder } from "../wire/studies";
import { Download } from "./download";
import { Icon, IconButton } from "./icons";
import { askCapabilities, canDelete, canStore } from "./permissions";
import { SeriesCard } from "./series_rail";
import { show } from "./session";
import { words } from "./settings";
import { PageButtons } from "./toolbar";
import { shortly, Trouble } from "./trouble";
import { UploadButton, uploads } from "./upload";
import { searchText } from "./url_state";
import { grouped } from "./judgement";
import { fill, type Word } from "./words";

const COLUMNS: readonly (readonly [StudyKey, Word])[] = [
  ["patient", "patient"],
  ["patientId", "patientId"],
  ["date", "date"],
  ["modalities", "modality"],
  ["description", "description"],
  ["series", "seriesCount"],
  ["instances", "images"],
];

const sort = signal<StudyOrder>({ key: "date", down: true });

/** Whether a study's series are shown, where somebody said so; a single study shows them unasked. */
const opened = signal<ReadonlyMap<string, boolean>>(new Map());

/** So long nobody types before what is typed is searched for. */
const TYPING_MS = 200;

interface Found {
  readonly search: StudySearch;
  readonly items: readonly Study[];
}

function useStudies(): { found: Found | null; error: Error | null; reload: () => void; showMore: () => void } {
  const [search, order] = [searchText.value, sort.value];
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  const busy = useRef<StudySearch | null>(null);
  const current = useRef<StudySearch | null>(null);
  const load = (from: StudySearch): void => {
    if (busy.current === from) return;
    busy.current = from;
    from.next().then(
      (items) => {
        busy.current = null;
        if (current.current !== from) return;
        setFound({ search: from, items });
        setError(null);
      },
      (failure: unknown) => {
        busy.current = null;
        if (current.current === from) setError(failure instanceof Error ? failure : new Error(String(failure)));
      },
    );
  };
  const typed = useRef(search);
  useEffect(() => {
    const begun = (current.current = new StudySearch(search.trim(), order));
    const timer = setTimeout(() => load(begun), typed.current === search ? 0 : TYPING_MS);
    typed.current = search;
    return () => clearTimeout(timer);
  }, [search, order, round, uploads.value]);
  return { found, error, reload: () => setRound(round + 1), showMore: () => found?.search.more && load(found.search) };
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
        {error ? <Trouble error={error} retry={() => (askCapabilities(), reload())} /> : !found ? <p class="quiet centred">{w.loading}</p> : <Table found={found} reload={reload} />}
        {found?.search.more && !error && <More found={found} showMore={showMore} />}
      </main>
    </div>
  );
}

/** How many are here of how many there are; the next ones come when this is seen, or asked for. */
function More({ found, showMore }: { found: Found; showMore: () => void }) {
  const w = words.value;
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watcher = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && showMore(), { rootMargin: "600px" });
    watcher.observe(element.current!);
    return () => watcher.disconnect();
  }, [found]);
  return (
    <div class="more" ref={element}>
      <span class="quiet">{fill(w.ofStudies, { held: grouped(found.items.length), count: grouped(found.search.total) })}</span>
      <button onClick={showMore}>{w.more}</button>
    </div>
  );
}

function Table({ found, reload }: { found: Found; reload: () => void }) {
  const w = words.value;
  const by = sort.value;
  if (!found.items.length) return <p class="quiet centred">{searchText.value ? w.noMatch : canStore.value ? w.noStudies : w.noStudiesReadOnly}</p>;
  const blocks = Array.from({ length: Math.ceil(found.items.length / BLOCK) }, (_, k) => found.items.slice(k * BLOCK, (k + 1) * BLOCK));
  return (
    <table class="studies">
      <thead>
        <tr>
          {COLUMNS.map(([name, word]) => (
            <th key={name} class={`column-${name}`} aria-sort={by.key === name ? (by.down ? "descending" : "ascending") : "none"}>
              <button onClick={() => (sort.value = { key: name, down: by.key === name && !by.down })}>
                {w[word]} {by.key === name && <span aria-hidden="true">{by.down ? "↓" : "↑"}</span>}
              </button>
            </th>
          ))}
          <td class="column-remove" />
        </tr>
      </thead>
      {blocks.map((studies, k) => (
        <Block key={k} studies={studies} reload={reload} alone={found.items.length === 1} />
      ))}
    </table>
  );
}

const BLOCK = 50;

/** Rows that are drawn while they are near what is seen, and hold their place while they are not. */
function Block({ studies, reload, alone }: { studies: readonly Study[]; reload: () => void; alone: boolean }) {
  const element = useRef<HTMLTableSectionElement>(null);
  const [near, setNear] = useState(true);
  const height = useRef(0);
  useEffect(() => {
    const watcher = new IntersectionObserver(
      ([seen]) => {
        if (!seen!.isIntersecting) height.current = element.current!.offsetHeight;
        setNear(seen!.isIntersecting);
      },
      { rootMargin: "1500px" },
    );
    watcher.observe(element.current!);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    if (!near) (element.current!.firstElementChild as HTMLElement).style.height = `${height.current}px`;
  }, [near]);
  return (
    <tbody ref={element}>
      {near ? (
        studies.map((study) => <Row key={study.uid} study={study} reload={reload} alone={alone} />)
      ) : (
        <tr class="far">
          <td colSpan={COLUMNS.length + 1} />
        </tr>
      )}
    </tbody>
  );
}

function Row({ study, reload, alone }: { study: Study; reload: () => void; alone: boolean }) {
  const w = words.value;
  const open = opened.value.get(study.uid) ?? alone;
  const toggle = (): void => void (opened.value = new Map(opened.peek()).set(study.uid, !open));
  return (
    <>
      <tr class={open ? "study open" : "study"} onClick={toggle}>
        <td class="column-patient">
          <button class="study-open" aria-expanded={open} onClick={(event) => (event.stopPropagation(), toggle())}>
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
        <td class="column-remove" onClick={(event) => event.stopPropagation()}>
          {canDelete.value && <Remove study={study} reload={reload} />}
          <Download study={study.uid} />
        </td>
      </tr>
      {open && (
        <tr class="cards-row">
          <td colSpan={COLUMNS.length + 1}>
            <Cards study={study.uid} />
          </td>
        </tr>
      )}
    </>
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
    remove(study.uid).then(reload, (failure: unknown) => setError(shortly(failure instanceof Error ? failure : new Error(String(failure)))));
  };
  const cancel = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asking) cancel.current!.focus();
  }, [asking]);
  if (!asking) return <IconButton icon="remove" name={w.remove} onClick={() => setAsking(true)} />;
  return (
    <div class="asking" role="alertdialog" aria-label={w.removeStudy} onKeyDown={(event) => event.key === "Escape" && setAsking(false)}>
      <span>{error || w.removeStudy}</span>
      <button class="danger" onClick={go}>
        {w.remove}
      </button>
      <button ref={cancel} onClick={() => setAsking(false)}>
        {w.cancel}
      </button>
    </div>
  );
}
