// What a person prefers, kept by the browser: language, theme, what the buttons do.

import { computed, effect, signal } from "@preact/signals";
import { BUTTONS, DRAG_ACTIONS, type Button, type Buttons, type DragAction } from "../tools/bindings";
import type { HandTool } from "../tools/registry";
import type { MeasuringTool } from "../tools/tool";
import { WORDS, type Language, type Words } from "./words";

export type Theme = "system" | "dark" | "light";

function recalled(key: string): string {
  try {
    return localStorage.getItem(`hounsfield.${key}`) ?? "";
  } catch {
    return ""; // Storage is refused: defaults.
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`hounsfield.${key}`, value);
  } catch {
    // Nothing is kept then.
  }
}

export const isLanguage = (text: string | null): text is Language => text === "en" || text === "zh";
export const isTheme = (text: string | null): text is Theme => text === "dark" || text === "light" || text === "system";

function firstLanguage(): Language {
  const kept = recalled("language");
  return isLanguage(kept) ? kept : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function firstTheme(): Theme {
  const kept = recalled("theme");
  return isTheme(kept) ? kept : "system";
}

export const language = signal<Language>(firstLanguage());
export const theme = signal<Theme>(firstTheme());
export const words = computed<Words>(() => WORDS[language.value]);
export const toolName = (tool: Pick<HandTool | MeasuringTool, "words">): string => tool.words[language.value === "en" ? 0 : 1];

const systemDark = signal(matchMedia("(prefers-color-scheme: dark)").matches);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => (systemDark.value = event.matches));
export const dark = computed(() => (theme.value === "system" ? systemDark.value : theme.value === "dark"));

function recalledButtons(): Buttons {
  const kept = recalled("buttons").split(",");
  const action = (index: number, otherwise: DragAction): DragAction => DRAG_ACTIONS.find((known) => known === kept[index]) ?? otherwise;
  return { left: action(0, BUTTONS.left), middle: action(1, BUTTONS.middle), right: action(2, BUTTONS.right) };
}

export const buttons = signal<Buttons>(recalledButtons());

export function bind(button: Button, action: DragAction): void {
  buttons.value = { ...buttons.value, [button]: action };
}

/** Pictures a second when playing. */
export const CINE_RATES: readonly number[] = [2, 5, 10, 15, 20, 30, 60];
export const cineRate = signal(CINE_RATES.find((rate) => String(rate) === recalled("cine")) ?? 15);

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
});
effect(() => remember("language", language.value));
effect(() => remember("theme", theme.value));
effect(() => remember("cine", String(cineRate.value)));
effect(() => remember("buttons", [buttons.value.left, buttons.value.middle, buttons.value.right].join(",")));
