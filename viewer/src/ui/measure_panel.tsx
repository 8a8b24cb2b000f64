// The measurements as a list: go to one, name it, delete it; export and import them.

import { batch } from "@preact/signals";
import { useState } from "preact/hooks";
import { toolOf } from "../tools/registry";
import { fromJson, ImportError, toCsv, toJson, type Measurement } from "../tools/measurements";
import { Icon, IconButton } from "./icons";
import { lines, measured } from "./measuring";
import type { PaneState } from "./pane_state";
import { saveAs } from "./png";
import { change, chosen, measurements, newId, redo, removeChosen, show, undo } from "./session";
import { toolName, words } from "./settings";
import { fill } from "./words";

export function MeasurePanel({ pane }: { pane: PaneState }) {
  const w = words.value;
  const [message, setMessage] = useState("");
  const items = measurements.value;
  const save = (text: string, type: string, suffix: string): void => saveAs(new Blob([text], { type }), `measurements.${suffix}`);
  return (
    <>
      <div class="row">
        <button disabled={!items.length} onClick={() => save(toJson(items), "application/json", "json")}>
          {w.exportJson}
        </button>
        <button disabled={!items.length} onClick={() => save(`\ufeff${toCsv(items)}`, "text/csv", "csv")}>
          {w.exportCsv}
        </button>
        <Import pane={pane} tell={setMessage} />
        <IconButton icon="undo" name={w.undo} hint="Ctrl+Z" onClick={undo} />
        <IconButton icon="redo" name={w.redo} hint="Ctrl+Y" onClick={redo} />
      </div>
      {message && (
        <p class="quiet" role="status">
          {message}
        </p>
      )}
      {!items.length && <p class="quiet">{w.noMeasurements}</p>}
      <ol class="measurements">
        {items.map((item) => (
          <Entry key={item.id} item={item} pane={pane} />
        ))}
      </ol>
    </>
  );
}

function Entry({ item, pane }: { item: Measurement; pane: PaneState }) {
  const w = words.value;
  const elsewhere = item.series !== pane.model.series;
  const go = (): void => {
    chosen.value = item.id;
    if (elsewhere) {
      const shown = show(item.study, item.series, { start: item.slice });
      if (item.slice === null && item.lps[0]) batch(() => ((shown.layout.value = "planes"), (shown.cross.value = item.lps[0]!)));
      return;
    }
    if (item.slice === null && pane.model.hasPlanes && pane.layout.peek() === "stack") pane.layout.value = "planes";
    if (item.slice !== null) pane.goTo(item.slice);
    else if (item.lps[0]) pane.lookAt(item.lps[0]);
  };
  const rename = (label: string): void => change(measurements.peek().map((each) => (each.id === item.id ? { ...each, label } : each)));
  const remove = (): void => {
    chosen.value = item.id;
    removeChosen();
  };
  return (
    <li class={item.id === chosen.value ? "chosen" : ""}>
      <button class="entry" onClick={go}>
        <strong>{toolName(toolOf(item.kind))}</strong>
        <span>{elsewhere ? w.onAnotherSeries : item.slice === null ? w.planes : `${w.slice} ${item.slice + 1}`}</span>
        {lines({ ...item, label: "" }, w).map((line) => (
          <span class="numbers" key={line}>
            {line}
          </span>
        ))}
      </button>
      <input aria-label={w.label} placeholder={w.label} value={item.label} maxLength={64} onChange={(event) => rename(event.currentTarget.value)} />
      <button class="small" aria-label={w.remove} title={w.remove} onClick={remove}>
        <Icon name="remove" />
      </button>
    </li>
  );
}

function Import({ pane, tell }: { pane: PaneState; tell: (message: string) => void }) {
  const w = words.value;
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      const found = fromJson(await file.text()).map((item) => ({ ...item, id: newId(), statistics: null, value: null }));
      change([...measurements.peek(), ...found.map((item) => (item.series === pane.model.series ? measured(item, pane) : item))]);
      tell(`${found.length} ${w.imported}`);
    } catch (error) {
      tell(`${w.importFailed} ${error instanceof ImportError ? fill(w[error.key], { n: error.at }) : String(error)}`);
    }
  };
  return (
    <label class="button">
      {w.import}
      <input
        type="file"
        accept=".json,application/json"
        class="hidden"
        onChange={(event) => {
          void read(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
    </label>
  );
}
