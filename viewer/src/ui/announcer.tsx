// What changed, for whoever listens to the page instead of looking: slice, place, window, measurement. Said politely,
// once things rest, and only what is new.

import { effect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { dot, cross, length, unit } from "../volume/vector";
import { lines, unitLabel } from "./measuring";
import type { PaneState } from "./pane_state";
import { active, chosen, grasped, measurements } from "./session";
import { words } from "./settings";
import { fill } from "./words";

const REST_MS = 500;

/** What there is to say, by subject; a subject is said again when its sentence changes. */
function sentences(pane: PaneState): Map<string, string> {
  const w = words.value;
  const found = new Map<string, string>();
  if (!pane.model.count || pane.slice.value < 0) return found;
  const views = pane.views;
  for (const view of views.length === 1 ? views : (["stack"] as const)) {
    const { count, at } = pane.steps(view);
    found.set("slice", `${view === "stack" ? "" : `${w[view]}: `}${fill(w.saySlice, { n: at + 1, count })}${view === "stack" ? placeOf(pane) : ""}`);
  }
  const place = pane.cross.value;
  if (place && pane.layout.value !== "stack") found.set("cross", fill(w.sayCross, { place: place.map((mm, axis) => `${"LPS"[axis]} ${mm.toFixed(1)}`).join(", ") }));
  const turned = length(pane.turn.value);
  if (pane.layout.value !== "stack" && turned) found.set("turn", fill(w.sayTurned, { degrees: turned.toFixed(0) }));
  const { center, width } = pane.window.value;
  if (pane.model.info.value?.shape) found.set("window", fill(w.sayWindow, { center: Math.round(center), width: Math.round(width), unit: unitLabel(pane.model.info.value.unit) }).trim());
  const item = measurements.value.find((each) => each.id === chosen.value);
  if (item) found.set("measurement", lines(item, w).join(", "));
  if (grasped.value) found.set("grasped", w.sayGrasped);
  return found;
}

/** How far along the slices' normal the slice lies. */
function placeOf(pane: PaneState): string {
  const { affine } = pane.model;
  const origin = pane.model.lps([pane.slice.value, 0, 0]);
  if (!affine || !origin) return "";
  const normal = unit(cross(affine.column, affine.row));
  return `, ${fill(words.value.sayAt, { mm: dot(origin, normal).toFixed(1) })}`;
}

export function Announcer() {
  const [said, say] = useState("");
  useEffect(() => {
    let before = new Map<string, string>();
    let timer = 0;
    const stop = effect(() => {
      const now = active.value ? sentences(active.value) : new Map<string, string>();
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        const news = [...now].filter(([subject, sentence]) => before.get(subject) !== sentence).map(([, sentence]) => sentence);
        before = now;
        if (news.length) say(news.join(". "));
      }, REST_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, []);
  return (
    <div class="hidden announcer" role="status" aria-live="polite" aria-atomic="true">
      {said}
    </div>
  );
}
