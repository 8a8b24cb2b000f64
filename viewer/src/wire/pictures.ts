// Rendered pictures (PS3.18 8.3.5, 10.4.1.1.5), for what has no values to send: colour, cine, secondary captures.

import { ask } from "./errors";
import { renderedAddress, thumbnailAddress, type Instance } from "./lists";
import { hasToken } from "./session";

export interface PictureFrame {
  readonly address: string;
  readonly instance: string;
  readonly frame: number;
  readonly rows: number;
  readonly columns: number;
  /** Frames a second that its instance asks for; null where it does not say, or has but one. */
  readonly rate: number | null;
  readonly header: Readonly<Record<string, string>>;
}

/** Segmentations have frames, but are no pictures: their frames are masks (PS3.4 B.5). */
const MASKS: readonly string[] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];

/** Whether an instance is one to be looked at: it has rows, and they are no masks. */
export const isPicture = (item: Instance): boolean => (item.rows !== undefined || item.columns !== undefined) && !MASKS.includes(item.sopClass);

/** Every frame of every instance of a series, in the order of Instance Number. */
export function pictureFrames(study: string, series: string, instances: readonly Instance[]): PictureFrame[] {
  return instances.filter(isPicture).flatMap((item) =>
    Array.from({ length: item.frames }, (_, k) => ({
      address: renderedAddress(study, series, item.uid, k + 1),
      instance: item.uid,
      frame: k + 1,
      rows: item.rows ?? 512,
      columns: item.columns ?? 512,
      rate: item.frames > 1 ? item.rate : null,
      header: item.header,
    })),
  );
}

/** One picture as a bitmap, with a window where one is asked for. */
export async function picture(address: string, window: { center: number; width: number } | null): Promise<ImageBitmap> {
  const query = window ? `?window=${window.center},${window.width},linear` : "";
  const answer = await ask(address + query, { headers: { Accept: "image/png, image/jpeg" } });
  return createImageBitmap(await answer.blob());
}

/** The address of a small picture that an `img` may show; one that needs a header is fetched here first. */
export async function thumbnail(study: string, series: string): Promise<string> {
  const address = thumbnailAddress(study, series);
  if (!hasToken()) return address;
  const answer = await ask(address, { headers: { Accept: "image/jpeg, image/png" } });
  return URL.createObjectURL(await answer.blob());
}
