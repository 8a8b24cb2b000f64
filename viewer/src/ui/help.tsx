// What keys, buttons and fingers do; the mouse can be given other work here.

import { useEffect, useRef } from "preact/hooks";
import { PRESETS } from "../render/window";
import { DRAG_ACTIONS, KEYS, type Button, type Command, type DragAction } from "../tools/bindings";
import { TOOLS } from "../tools/registry";
import { Icon } from "./icons";
import { helpOpen } from "./session";
import { bind, buttons, toolName, words } from "./settings";
import { presetName } from "./toolbar";
import type { Word } from "./words";

const NAMES: Partial<Record<Command, Word>> = {
  panelNumbers: "numbers",
  panelTags: "tags",
  panelMeasure: "measurements",
  panelLayers: "layers",
};

function actionName(action: DragAction): string {
  const tool = TOOLS.find(({ name }) => name === action);
  return tool ? toolName(tool) : words.value.chosenTool;
}

function commandName(command: Command): string {
  const tool = TOOLS.find(({ name }) => command === `tool:${name}`);
  return tool ? toolName(tool) : words.value[NAMES[command] ?? (command as Word)];
}

const BUTTONS: readonly (readonly [Button, Word])[] = [
  ["left", "leftDrag"],
  ["middle", "middleDrag"],
  ["right", "rightDrag"],
];
const SYMBOLS: Readonly<Record<string, string>> = { ArrowUp: "↑", ArrowDown: "↓", " ": "␣", PageUp: "PgUp", PageDown: "PgDn", Escape: "Esc" };

const keyText = (key: string): string =>
  key
    .split(/(?<=.)\+(?=.)/)
    .map((part) => SYMBOLS[part] ?? part)
    .join(" ");

export function Help() {
  return helpOpen.value ? <HelpDialog /> : null;
}

function HelpDialog() {
  const w = words.value;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog class="help" ref={dialog} aria-label={w.help} onClose={() => (helpOpen.value = false)} onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}>
      <div class="help-body">
        <div class="help-head">
          <h2>{w.help}</h2>
          <button class="small" aria-label={w.close} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </div>
        <h3>{w.mouse}</h3>
        <dl class="keys">
          {BUTTONS.map(([button, word]) => (
            <div key={button}>
              <dt>{w[word]}</dt>
              <dd>
                <select aria-label={w[word]} value={buttons.value[button]} onChange={(event) => bind(button, DRAG_ACTIONS.find((each) => each === event.currentTarget.value) ?? "tool")}>
                  {DRAG_ACTIONS.map((action) => (
                    <option key={action} value={action}>
                      {actionName(action)}
                    </option>
                  ))}
                </select>
              </dd>
            </div>
          ))}
          <div>
            <dt>{w.wheel}</dt>
            <dd>{w.wheelDoes}</dd>
          </div>
          <div>
            <dt>{w.touch}</dt>
            <dd>{w.touchDoes}</dd>
          </div>
          <div>
            <dt>{w.doubleClick}</dt>
            <dd>{w.doubleClickDoes}</dd>
          </div>
        </dl>
        <h3>{w.keyboard}</h3>
        <dl class="keys">
          {KEYS.map(([key, command]) => (
            <div key={key}>
              <dt>
                <kbd>{keyText(key)}</kbd>
              </dt>
              <dd>{commandName(command)}</dd>
            </div>
          ))}
          <div>
            <dt>
              <kbd>Enter</kbd>
            </dt>
            <dd>{w.enterKey}</dd>
          </div>
          <div>
            <dt>
              <kbd>Ctrl c</kbd>
            </dt>
            <dd>{w.copyKey}</dd>
          </div>
          {PRESETS.map((preset) => (
            <div key={preset.key}>
              <dt>
                <kbd>{preset.key}</kbd>
              </dt>
              <dd>{presetName(preset)}</dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
