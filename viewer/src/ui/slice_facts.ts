// What belongs to one slice: its instance, its way from stored values to the unit.


import type { SeriesModel } from "./series_model";

export interface SliceFacts {
  readonly instance: string;
  readonly frame: number;
  readonly slope: number | null;
  readonly intercept: number | null;
}

export function sliceFacts(model: SeriesModel, slice: number): SliceFacts {
  const picture = model.pictures.value?.[slice];
  if (picture) return { instance: picture.instance, frame: picture.frame, slope: null, intercept: null };
  const found = model.info.value?.slices[slice];
  return { instance: found?.uid ?? "", frame: found?.frame ?? 1, slope: found?.slope ?? null, intercept: found?.intercept ?? null };
}
