// The scales of layers that have one, on the image: a dose in its unit, a difference from less to more.

import { differenceColour, washColour } from "../render/layer_colours";
import { KIND_WORDS, type PaneLayer } from "./layers";
import { unitLabel } from "./measuring";
import type { PaneState } from "./pane_state";
import { words } from "./settings";

const STEPS = 48;
const HEIGHT = 144;
const WIDTH = 12;

export function Legends({ pane }: { pane: PaneState }) {
  const scales = pane.layers.shown.value.filter((layer) => !layer.hasLabels && layer.visible.value && layer.model.info.value);
  if (!scales.length) return null;
  return (
    <div class="legends">
      {scales.map((layer) => (
        <Legend key={layer.id} layer={layer} />
      ))}
    </div>
  );
}

function Legend({ layer }: { layer: PaneLayer }) {
  const [low, high] = layer.range.value;
  const unit = unitLabel(layer.model.info.value!.unit);
  const name = words.value[KIND_WORDS[layer.kind]];
  const colour = (share: number): string => `rgb(${(layer.kind === "difference" ? differenceColour(2 * share - 1) : washColour(share)).join()})`;
  const said = (value: number): string => `${layer.kind === "difference" && value > 0 ? "+" : ""}${String(+value.toPrecision(3)).replace("-", "−")}`;
  return (
    <div class="legend" aria-label={`${name}: ${said(low)} … ${said(high)} ${unit}`} role="img">
      <span class="legend-unit">{unit || name}</span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} preserveAspectRatio="none" aria-hidden="true">
        {Array.from({ length: STEPS }, (_, k) => (
          <rect key={k} x={0} width={WIDTH} y={((STEPS - 1 - k) * HEIGHT) / STEPS} height={HEIGHT / STEPS + 0.5} fill={colour(k / (STEPS - 1))} />
        ))}
      </svg>
      <ol>
        {[high, (low + high) / 2, low].map((value) => (
          <li key={value}>{said(value)}</li>
        ))}
      </ol>
    </div>
  );
}
