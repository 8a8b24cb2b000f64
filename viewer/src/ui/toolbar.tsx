// The bar above the image: where one is, the tools, the window, the panels.

import { COLOUR_MAPS } from "../render/colour_maps";
import { shownNumber, type Preset, type Window } from "../render/window";
import { KEYS, type Command } from "../tools/bindings";
import { isKind, TOOLS } from "../tools/registry";
import { personName, dateText } from "../wire/dicom_json";
import { presetsOf, run } from "./commands";
import { Download } from "./download";
import { Icon, IconButton, type IconName } from "./icons";
import type { PaneState } from "./pane_state";
import { active, closeAll, helpOpen, linked, panel, panes, railOpen, tool, type Panel } from "./session";
import { dark, language, theme, toolName, words } from "./settings";
import { TrustBadge } from "./trust";
import type { Word } from "./words";

const keyOf = (command: Command): string | undefined => KEYS.find(([, name]) => name === command)?.[0].replace(/(^|\+)\w$/, (key) => key.toUpperCase());

export function presetName(preset: Preset): string {
  const key = `preset${preset.name[0]!.toUpperCase()}${preset.name.slice(1)}` as Word;
  return words.value[key];
}

function Command({ command, icon, name, pressed, disabled }: { command: Command; icon: IconName; name: string; pressed?: boolean; disabled?: boolean }) {
  return <IconButton icon={icon} name={name} hint={keyOf(command)} pressed={pressed} disabled={disabled ?? false} onClick={() => run(command)} />;
}

function Identity({ pane }: { pane: PaneState }) {
  const info = pane.model.info.value;
  const header = info?.header ?? {};
  // Nobody is called nameless before the name is known.
  const patient = personName(header["PatientName"] ?? "") || header["PatientID"] || (info ? words.value.anonymous : "");
  const what = [header["StudyDescription"], dateText(header["StudyDate"] ?? "")].filter(Boolean).join(" · ");
  return (
    <div class="identity" title={`${patient} ${what}`}>
      <h1>{patient}</h1>
      <span>{what}</span>
    </div>
  );
}

function NumberBox({ name, value, least, onChange }: { name: string; value: number; least?: number; onChange: (value: number) => void }) {
  return (
    <label class="number">
      <span>{name}</span>
      <input
        type="number"
        value={value}
        min={least}
        step="any"
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          if (Number.isFinite(typed) && typed >= (least ?? -Infinity)) onChange(typed);
          // What cannot be is not left standing as if it were.
          else event.currentTarget.value = String(value);
        }}
      />
    </label>
  );
}

export function WindowControls({ pane }: { pane: PaneState }) {
  const w = words.value;
  const shown = pane.window.value;
  const same = (window: Window): boolean => window.center === shown.center && window.width === shown.width;
  const preset = presetsOf(pane).find((each) => same(each.window));
  const take = (key: string): void => {
    if (key === "header") pane.chosenWindow.value = null;
    else if (key) run(`preset${Number(key)}`);
  };
  return (
    <div class="window-controls">
      <select aria-label={w.presets} value={pane.chosenWindow.value === null ? "header" : (preset?.key ?? "")} onChange={(event) => take(event.currentTarget.value)}>
        <option value="" disabled>
          {w.preset}
        </option>
        <option value="header">{pane.model.info.value?.window ? w.presetHeader : w.presetAuto}</option>
        {presetsOf(pane).map((each) => (
          <option key={each.key} value={each.key}>
            {each.key} · {presetName(each)}
          </option>
        ))}
      </select>
      <NumberBox name={w.center} value={shownNumber(shown.center, shown)} onChange={(center) => (pane.chosenWindow.value = { ...shown, center })} />
      <NumberBox name={w.width} value={shownNumber(shown.width, shown)} least={1} onChange={(width) => (pane.chosenWindow.value = { ...shown, width })} />
    </div>
  );
}

function PanelButton({ name, icon, word, command }: { name: Panel; icon: IconName; word: Word; command: Command }) {
  return <Command command={command} icon={icon} name={words.value[word]} pressed={panel.value === name} />;
}

function ViewTools({ pane }: { pane: PaneState }) {
  const w = words.value;
  return (
    <>
      <div class="group" role="group" aria-label={w.view}>
        <Command command="stack" icon="stack" name={w.stack} pressed={pane.layout.value === "stack"} />
        <Command command="planes" icon="planes" name={pane.model.hasPlanes ? w.planes : w.noPlanes} pressed={pane.layout.value !== "stack"} disabled={!pane.model.hasPlanes} />
        {panes.value.length > 1 && <IconButton icon="link" name={w.link} pressed={linked.value} onClick={() => (linked.value = !linked.value)} />}
      </div>
      <div class="group poses">
        <Command command="turnLeft" icon="turnLeft" name={w.turnLeft} />
        <Command command="turnRight" icon="turnRight" name={w.turnRight} />
        <Command command="flipHorizontal" icon="flipHorizontal" name={w.flipHorizontal} />
        <Command command="flipVertical" icon="flipVertical" name={w.flipVertical} />
        <Command command="invert" icon="invert" name={w.invert} pressed={pane.inverted.value} />
        <Command command="interpolate" icon="smooth" name={w.interpolate} pressed={pane.smooth.value} />
        <Command command="cine" icon={pane.playing.value ? "pause" : "play"} name={pane.playing.value ? w.pause : w.cine} pressed={pane.playing.value} disabled={pane.model.count < 2} />
        <Command command="reset" icon="reset" name={w.reset} />
        <Command command="png" icon="png" name={w.png} />
        <Download study={pane.model.study} series={pane.model.series} />
      </div>
    </>
  );
}

export function PageButtons() {
  const w = words.value;
  const themes = { system: dark.value ? "light" : "dark", dark: "light", light: "dark" } as const;
  return (
    <div class="group page-buttons">
      <button class="tool language" lang={language.value === "en" ? "zh-Hans" : "en"} onClick={() => (language.value = language.value === "en" ? "zh" : "en")}>
        {w.language}
      </button>
      <IconButton icon="theme" kind="theme" name={w.theme} onClick={() => (theme.value = themes[theme.value])} />
      <IconButton icon="help" name={w.help} hint="?" pressed={helpOpen.value} onClick={() => (helpOpen.value = !helpOpen.value)} />
    </div>
  );
}

export function Toolbar() {
  const w = words.value;
  const pane = active.value;
  if (!pane) return null;
  const hasValues = !!pane.model.info.value?.shape;
  return (
    <header class="toolbar">
      <div class="bar first">
        <button class="tool back" title={w.studies} aria-label={w.studies} onClick={closeAll}>
          <Icon name="back" />
        </button>
        <IconButton icon="rail" name={w.series} pressed={railOpen.value} onClick={() => (railOpen.value = !railOpen.value)} />
        <Identity pane={pane} />
        <TrustBadge pane={pane} />
        <div class="group panels" role="group" aria-label={w.panels}>
          <PanelButton name="numbers" icon="numbers" word="numbers" command="panelNumbers" />
          <PanelButton name="tags" icon="tags" word="tags" command="panelTags" />
          <PanelButton name="layers" icon="layers" word="layers" command="panelLayers" />
          <PanelButton name="measure" icon="measure" word="measurements" command="panelMeasure" />
        </div>
        <PageButtons />
      </div>
      <div class="bar second">
        <div class="group" role="group" aria-label={w.tools}>
          {TOOLS.map((each) => (
            <IconButton key={each.name} icon={each.icon} name={toolName(each)} hint={keyOf(`tool:${each.name}`)} pressed={tool.value === each.name} disabled={!hasValues && (isKind(each.name) || each.name === "crosshair")} onClick={() => (tool.value = each.name)} />
          ))}
        </div>
        <ViewTools pane={pane} />
        {hasValues && <WindowControls pane={pane} />}
        <select class="colours" aria-label={w.colours} value={pane.colours.value} disabled={!hasValues} onChange={(event) => (pane.colours.value = COLOUR_MAPS.find((each) => each === event.currentTarget.value) ?? "grey")}>
          {COLOUR_MAPS.map((each) => (
            <option key={each} value={each}>
              {w[each]}
            </option>
          ))}
        </select>
      </div>
    </header>
  );
}
