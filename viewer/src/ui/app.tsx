// The page: the list of studies, or what is open, with the panel beside it.

import { useEffect } from "preact/hooks";
import { Announcer } from "./announcer";
import { Help } from "./help";
import { Icon } from "./icons";
import { LayersPanel } from "./layers_panel";
import { MeasurePanel } from "./measure_panel";
import { NumbersPanel } from "./numbers_panel";
import type { PaneState } from "./pane_state";
import { Readout } from "./readout";
import { SeriesRail } from "./series_rail";
import { active, panel, panes } from "./session";
import { words } from "./settings";
import { seriesTitle, Stage } from "./stage";
import { StudyList } from "./study_list";
import { TagsPanel } from "./tags_panel";
import { Toolbar } from "./toolbar";
import { UploadArea } from "./upload";

export function App() {
  return (
    <>
      {panes.value.length ? <Viewer /> : <StudyList />}
      <UploadArea />
      <Help />
    </>
  );
}

function Viewer() {
  const pane = active.value;
  const title = pane?.model.info.value ? seriesTitle(pane) : "";
  useEffect(() => {
    document.title = title ? `${title} – hounsfield` : "hounsfield";
    return () => void (document.title = "hounsfield");
  }, [title]);
  return (
    <div class="viewer">
      <Toolbar />
      <div class="middle">
        <SeriesRail />
        <Stage />
        {pane && panel.value && <SidePanel key={pane.id} pane={pane} />}
      </div>
      <Readout />
      <Announcer />
    </div>
  );
}

function SidePanel({ pane }: { pane: PaneState }) {
  const w = words.value;
  const title = { numbers: w.numbers, tags: w.tags, measure: w.measurements, layers: w.layers, "": "" }[panel.value];
  return (
    <aside class="panel" aria-label={title}>
      <div class="panel-head">
        <h2>{title}</h2>
        <button class="small" aria-label={w.close} title={w.close} onClick={() => (panel.value = "")}>
          <Icon name="close" />
        </button>
      </div>
      <div class="panel-body">
        {panel.value === "numbers" && <NumbersPanel pane={pane} />}
        {panel.value === "tags" && <TagsPanel pane={pane} />}
        {panel.value === "layers" && <LayersPanel pane={pane} />}
        {panel.value === "measure" && <MeasurePanel pane={pane} />}
      </div>
    </aside>
  );
}
