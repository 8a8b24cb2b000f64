// What stands where an image would, for objects without pixels: a report as a tree, structures and segments as lists,
// a file to be opened or saved.

import { useEffect, useState } from "preact/hooks";
import { documentOf, fileAddress, fileOf, type DocumentInfo, type DocumentItem, type DocumentKind, type ReportNode } from "../wire/documents";
import type { Instance } from "../wire/lists";
import type { PaneState } from "./pane_state";
import { saveAs } from "./png";
import { show, siblings } from "./session";
import { language, words } from "./settings";
import { Trouble } from "./trouble";
import { fill, type Word } from "./words";

const KINDS: Readonly<Record<DocumentKind, Word>> = { report: "docReport", pdf: "docPdf", model: "docModel", document: "docFile", structures: "layerStruct", segments: "layerSeg", presentation: "docPresentation", other: "docOther" };

export function Documents({ pane }: { pane: PaneState }) {
  const w = words.value;
  const instances = pane.model.documents.value ?? [];
  const at = Math.min(Math.max(0, pane.slice.value), instances.length - 1);
  const instance = instances[at];
  if (!instance) return null;
  return (
    <div class="documents" tabIndex={0} role="region" aria-label={w.docContent}>
      {instances.length > 1 && (
        <label class="document-choice">
          <span>{fill(w.docOf, { n: at + 1, count: instances.length })}</span>
          <input type="range" min={1} max={instances.length} value={at + 1} aria-label={w.docContent} onInput={(event) => (pane.slice.value = event.currentTarget.valueAsNumber - 1)} />
        </label>
      )}
      <OneDocument key={instance.uid} pane={pane} instance={instance} />
    </div>
  );
}

function OneDocument({ pane, instance }: { pane: PaneState; instance: Instance }) {
  const w = words.value;
  const { study, series } = pane.model;
  const [found, setFound] = useState<DocumentInfo | Error | null>(null);
  const ask = (): void => void documentOf(study, series, instance.uid).then(setFound, (error: unknown) => setFound(error instanceof Error ? error : new Error(String(error))));
  useEffect(ask, [instance.uid]);
  if (!found) return <p class="quiet">{w.loading}</p>;
  if (found instanceof Error) return <Trouble error={found} retry={ask} />;
  return (
    <article class="document" data-kind={found.kind}>
      <header>
        <small>{w[KINDS[found.kind]]}</small>
        <h2>{found.title}</h2>
      </header>
      {found.facts.length > 0 && (
        <dl>
          {found.facts.map((fact) => (
            <>
              <dt>{fact.name[language.value === "en" ? 0 : 1]}</dt>
              <dd>{fact.value}</dd>
            </>
          ))}
        </dl>
      )}
      <DrawnOn found={found} study={study} instance={instance} pane={pane} />
      {found.file && <EmbeddedFile found={found} study={study} series={series} instance={instance} />}
      {found.items.length > 0 && <Items items={found.items} />}
      {found.tree.length > 0 && <Tree nodes={found.tree} />}
    </article>
  );
}

/** The series that it lies over, to be opened with it as a layer. */
function DrawnOn({ found, study, instance, pane }: { found: DocumentInfo; study: string; instance: Instance; pane: PaneState }) {
  const w = words.value;
  const isLayer = found.kind === "structures" || found.kind === "segments";
  const known = siblings.value.filter((each) => found.drawn_on.includes(each.uid));
  const open = (series: string, at: string): void => {
    const opened = show(at, series);
    if (isLayer) opened.layers.add(instance.uid, found.kind === "segments" ? "SEG" : "RTSTRUCT", pane.model.info.value?.header["SeriesDescription"] ?? "");
  };
  // Its series may lie in another study than itself, which the rail does not list.
  const others = known.length ? [] : isLayer ? found.drawn_on.slice(0, 1) : [];
  return (
    <div class="row">
      {known.map((each) => (
        <button key={each.uid} class={isLayer ? "primary" : ""} onClick={() => open(each.uid, each.study)}>
          {fill(isLayer ? w.docShowOn : w.docOpen, { name: [each.number, each.description].filter((part) => part !== undefined && part !== "").join(" · ") || each.modality })}
        </button>
      ))}
      {others.map((uid) => (
        <button key={uid} class="primary" onClick={() => open(uid, study)}>
          {fill(w.docShowOn, { name: w.series })}
        </button>
      ))}
    </div>
  );
}

function EmbeddedFile({ found, study, series, instance }: { found: DocumentInfo; study: string; series: string; instance: Instance }) {
  const w = words.value;
  const address = fileAddress(study, series, instance.uid);
  const isPdf = found.file!.type === "application/pdf";
  const save = (): void => void fileOf(study, series, instance.uid).then((blob) => saveAs(blob, `${instance.uid}.${isPdf ? "pdf" : /STL|OBJ|MTL|CDA/.exec(found.title)?.[0].toLowerCase() ?? "bin"}`));
  return (
    <>
      <p class="quiet">{`${isPdf ? "PDF" : found.title}, ${(found.file!.bytes / 1024).toFixed(0)} kB`}</p>
      <div class="row">
        {isPdf && address && (
          <a class="button primary" href={address} target="_blank" rel="noopener noreferrer">
            {w.docOpenPdf}
          </a>
        )}
        <button onClick={save}>{w.docSave}</button>
      </div>
      {isPdf && <p class="quiet">{w.docSandboxed}</p>}
    </>
  );
}

function Items({ items }: { items: readonly DocumentItem[] }) {
  const w = words.value;
  const counted = items.some((each) => each.count !== undefined);
  return (
    <table class="segments">
      <thead>
        <tr>
          <th>#</th>
          <td />
          <th>{w.label}</th>
          <th>{w.docType}</th>
          <th>{counted ? w.docContours : w.docAlgorithm}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((each) => (
          <tr key={each.number}>
            <td>{each.number}</td>
            <td>{each.colour && <Swatch colour={each.colour} />}</td>
            <td>{each.name}</td>
            <td>{each.type}</td>
            <td>{each.count ?? each.detail ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Swatch({ colour }: { colour: readonly number[] }) {
  return (
    <svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">
      <rect width={12} height={12} rx={2} fill={`rgb(${colour.join()})`} />
    </svg>
  );
}

/** Nested as the report is; long ones are closed below their first levels. */
function Tree({ nodes, depth = 0 }: { nodes: readonly ReportNode[]; depth?: number }) {
  return (
    <ul class="report">
      {nodes.map((node, k) => (
        <li key={k}>
          {node.children.length ? (
            <details open={depth < 2 || node.children.length < 6}>
              <summary>
                <Line node={node} />
              </summary>
              <Tree nodes={node.children} depth={depth + 1} />
            </details>
          ) : (
            <Line node={node} />
          )}
        </li>
      ))}
    </ul>
  );
}

function Line({ node }: { node: ReportNode }) {
  return (
    <>
      <span class="report-name">{node.name || (node.value ? "" : "–")}</span> {node.value}
    </>
  );
}
