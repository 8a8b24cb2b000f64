// Where one is among the slices: a text that becomes a field to type another number into.

import { useEffect, useRef } from "preact/hooks";
import type { PaneState, ViewName } from "./pane_state";
import { active, activeId, goingTo } from "./session";
import { words } from "./settings";

interface Props {
  readonly pane: PaneState;
  readonly view: ViewName;
  readonly name: string;
}

export function SliceNumber({ pane, view, name }: Props) {
  const { count, at } = pane.steps(view);
  if (!count) return null;
  if (goingTo.value && active.value === pane && count > 1) return <Field pane={pane} view={view} name={name} />;
  const text = `${name} ${at + 1} / ${count}`;
  if (count < 2) return <span>{text}</span>;
  const open = (): void => {
    activeId.value = pane.id;
    goingTo.value = true;
  };
  return (
    <button class="slice-number" title={`${words.value.goTo}  (Ctrl+G)`} onClick={open}>
      {text}
    </button>
  );
}

function Field({ pane, view, name }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const { count, at } = pane.steps(view);
  useEffect(() => {
    field.current!.focus();
    field.current!.select();
  }, []);
  const close = (): void => void (goingTo.value = false);
  const press = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.stopPropagation();
    const typed = field.current!.valueAsNumber;
    if (event.key === "Enter" && Number.isFinite(typed)) pane.goView(view, Math.max(1, Math.min(Math.round(typed), count)) - 1);
    close();
    document.querySelector<HTMLElement>(`[data-pane="${pane.id}"][data-view="${view}"]`)?.focus();
  };
  return (
    <label class="slice-number">
      {name} <input ref={field} type="number" min={1} max={count} defaultValue={String(at + 1)} aria-label={words.value.goTo} onKeyDown={press} onBlur={close} /> / {count}
    </label>
  );
}
