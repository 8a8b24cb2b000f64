// Where everything is: relative to the page, so that any prefix works; every UID is escaped.

const part = encodeURIComponent;

/** The DICOMweb root: beside the page, unless the page names another in its head. */
export function root(): string {
  const named = typeof document === "undefined" ? null : document.querySelector<HTMLMetaElement>('meta[name="dicomweb"]');
  return new URL(named?.content ?? "dicom-web", typeof document === "undefined" ? "http://localhost/" : document.baseURI).href.replace(/\/$/, "");
}

export const studiesAddress = (): string => `${root()}/studies`;
export const studyAddress = (study: string): string => `${studiesAddress()}/${part(study)}`;
export const seriesAddress = (study: string, series: string): string => `${studyAddress(study)}/series/${part(series)}`;
export const instanceAddress = (study: string, series: string, instance: string): string => `${seriesAddress(study, series)}/instances/${part(instance)}`;
