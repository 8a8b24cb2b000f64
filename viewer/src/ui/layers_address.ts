// Layers in the address: each its identifier and what was changed of how it is drawn.

import { isDifference, type LayerKind } from "../wire/layers";
import { FILL_MODES, type PaneLayer, type PaneLayers } from "./layers";

const KIND_LETTERS: Readonly<Record<LayerKind, string>> = { SEG: "s", RTSTRUCT: "r", labels: "l", RTDOSE: "d", difference: "m" };

const hex = (colour: readonly number[]): string => colour.map((part) => part.toString(16).padStart(2, "0")).join("");

/** One layer: identifier!kind!opacity!mode, then range, segments that are hidden and colours that were chosen. */
function layerText(layer: PaneLayer): string {
  const chosen = [...layer.chosen.value];
  const hidden = chosen.filter(([, style]) => style.visible === false).map(([index]) => index);
  const colours = chosen.flatMap(([index, { colour }]) => (colour ? [`${index}:${hex(colour)}`] : []));
  const parts = [layer.id, KIND_LETTERS[layer.kind], Math.round(layer.opacity.value! * 100), layer.visible.value ? layer.mode.value : `-${layer.mode.value}`, layer.chosenRange.value?.join(":") ?? "", hidden.join(":"), colours.join(";")];
  return parts.join("!").replace(/!+$/, "");
}

export function layersText(layers: PaneLayers): string | null {
  return layers.shown.value.map(layerText).join("*") || null;
}

export function readLayers(layers: PaneLayers, text: string): void {
  for (const each of text.split("*").filter(Boolean)) {
    const [id, letter, opacity, mode, range, hidden, colours] = each.split("!");
    const kind = (Object.keys(KIND_LETTERS) as LayerKind[]).find((known) => KIND_LETTERS[known] === letter) ?? (isDifference(id!) ? "difference" : "labels");
    const layer = layers.add(id!, kind, layers.nameOf(id!));
    if (opacity && Number(opacity) >= 0 && Number(opacity) <= 100) layer.opacity.value = Number(opacity) / 100;
    layer.visible.value = !mode?.startsWith("-");
    layer.mode.value = FILL_MODES.find((known) => known === mode?.replace("-", "")) ?? "both";
    const ends = (range ?? "").split(":").map(Number.parseFloat);
    if (ends.length === 2 && ends[0]! < ends[1]!) layer.chosenRange.value = [ends[0]!, ends[1]!];
    for (const index of (hidden ?? "").split(":").filter(Boolean)) layer.restyle(Number(index), { visible: false });
    for (const pair of (colours ?? "").split(";")) {
      const found = /^(\d+):([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/.exec(pair);
      if (found) layer.restyle(Number(found[1]), { colour: [2, 3, 4].map((part) => Number.parseInt(found[part]!, 16)) as [number, number, number] });
    }
  }
}
