// Rendered pictures (PS3.18 8.3.5, 10.4.1.1.5), for what has no values to send: colour, cine, secondary captures.

import { instanceAddress } from "./address";
import { asObjects, number, type DicomJson } from "./dicom_json";
import { ask, askJson } from "./errors";
import { instancesOf, renderedAddress, thumbnailAddress } from "./lists";
import { hasToken } from "./session";

export interface PictureFrame {
  readonly address: string;
  readonly instance: string;
  readonly frame: number;
  readonly rows: number;
  readonly columns: number;
  readonly header: Readonly<Record<string, string>>;
}

/** Frames a second that screens show. */
const MOST_FRAMES = 60;

/** Every frame of every instance of a series, in the order of Instance Number. */
export async function pictureFrames(study: string, series: string): Promise<PictureFrame[]> {
  const instances = await instancesOf(study, series);
  return instances.flatMap((item) =>
    Array.from({ length: item.frames }, (_, k) => ({
      address: renderedAddress(study, series, item.uid, k + 1),
      instance: item.uid,
      frame: k + 1,
      rows: item.rows ?? 512,
      columns: item.columns ?? 512,
      header: item.header,
    })),
  );
}

/** Frames a second that an instance asks to be shown at; null where it does not say. */
export async function ownFrameRate(study: string, series: string, instance: string): Promise<number | null> {
  const [item] = asObjects(await askJson(`${instanceAddress(study, series, instance)}/metadata`));
  return item ? frameRateOf(item) : null;
}

/** Recommended Display Frame Rate, Cine Rate, or what Frame Time (ms) comes to (PS3.3 C.7.6.5.1). */
export function frameRateOf(item: DicomJson): number | null {
  const [recommended, cine, time] = [number(item, "00082144"), number(item, "00180040"), number(item, "00181063")];
  const rate = [recommended, cine, time && 1000 / time].find((each) => each !== undefined && each > 0);
  return rate ? Math.min(rate, MOST_FRAMES) : null;
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
