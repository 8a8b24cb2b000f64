// The series of the study, as thumbnails: a click opens one, the plus puts it beside what is open.

import { useEffect, useState } from "preact/hooks";
import type { Series } from "../wire/lists";
import { thumbnail } from "../wire/pictures";
import { Icon } from "./icons";
import { active, MOST_PANES, panel, panes, railOpen, show, showBeside, siblings } from "./session";
import { words } from "./settings";
import { fill } from "./words";

export function SeriesRail() {
  if (!railOpen.value) return null;
  const w = words.value;
  return (
    <nav class="rail" aria-label={w.series}>
      {siblings.value.map((series) => (
        <SeriesCard
          key={series.uid}
          series={series}
          current={active.value?.model.series === series.uid}
          layer={layerOf(series)}
          open={() => show(series.study, series.uid)}
          beside={panes.value.length < MOST_PANES ? () => void showBeside(series.study, series.uid) : null}
        />
      ))}
    </nav>
  );
}

/** What turns a series on and off as a layer of the one that is looked at; null where it is none of it. */
function layerOf(series: Series): CardProps["layer"] {
  const layers = active.value?.layers;
  const listed = layers?.found.value?.filter((each) => each.series === series.uid) ?? [];
  if (!layers || !listed.length) return null;
  const on = listed.some((each) => layers.get(each.id)?.visible.value);
  const toggle = (): void => {
    for (const each of listed) {
      const there = layers.get(each.id);
      if (there) there.visible.value = !on;
      else if (!on) layers.add(each.id, each.kind, each.name);
    }
    panel.value = "layers";
  };
  return { on, toggle };
}

/** Modalities whose instances are no images (PS3.3 C.7.3.1.1.1). */
const WITHOUT_IMAGES: readonly string[] = ["SR", "DOC", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTRECORD", "REG", "SEG", "M3D", "PLAN"];

interface CardProps {
  readonly layer?: { readonly on: boolean; readonly toggle: () => void } | null | undefined;
  readonly series: Series;
  readonly current: boolean;
  readonly open: () => void;
  readonly beside: (() => void) | null;
}

export function SeriesCard({ series, current, layer, open, beside }: CardProps) {
  const w = words.value;
  const title = [series.number, series.description].filter((part) => part !== undefined && part !== "").join(" · ") || series.modality;
  return (
    <div class={current ? "card current" : "card"}>
      <button class="card-open" onClick={open} aria-current={current ? "true" : undefined}>
        <Thumbnail study={series.study} series={series.uid} />
        <span class="card-title">{title}</span>
        <span class="card-facts">
          {[series.modality, WITHOUT_IMAGES.includes(series.modality) ? "" : fill(series.instances === 1 ? w.oneImage : w.manyImages, { n: series.instances ?? "?" })].filter(Boolean).join(" · ")}
        </span>
      </button>
      {layer && (
        <button class="small as-layer" role="switch" aria-checked={layer.on} title={`${w.showLayer}: ${w.asLayer}`} aria-label={`${w.showLayer}: ${title} ${w.asLayer}`} onClick={layer.toggle}>
          <Icon name={layer.on ? "eye" : "eyeOff"} />
        </button>
      )}
      {beside && !layer && (
        <button class="small beside" title={w.compareWith} aria-label={`${w.compareWith}: ${title}`} onClick={beside}>
          <Icon name="compare" />
        </button>
      )}
    </div>
  );
}

/** Nothing is shown for what has no picture. */
export function Thumbnail({ study, series }: { study: string; series: string }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    let left = false;
    thumbnail(study, series).then(
      (found) => left || setAddress(found),
      () => undefined,
    );
    return () => (left = true);
  }, [study, series]);
  useEffect(() => () => void (address.startsWith("blob:") && URL.revokeObjectURL(address)), [address]);
  return <span class="thumbnail">{address && <img src={address} alt="" loading="lazy" onError={() => setAddress("")} />}</span>;
}
