// DICOM JSON (PS3.18 F) as far as a list and a tag table need it; tolerant of the dirt that servers send.

export interface Element {
  vr?: string;
  Value?: unknown;
  BulkDataURI?: string;
  InlineBinary?: string;
}

export type DicomJson = Record<string, Element>;

/** The first value as text; person names by their alphabetic, ideographic, then phonetic form. */
export function text(item: DicomJson, tag: string): string {
  return texts(item, tag)[0] ?? "";
}

export function texts(item: DicomJson, tag: string): string[] {
  return values(item[tag]).map(valueText);
}

export function number(item: DicomJson, tag: string): number | undefined {
  const first = values(item[tag])[0];
  const found = typeof first === "number" ? first : Number.parseFloat(String(first ?? ""));
  return Number.isFinite(found) ? found : undefined;
}

export function values(element: Element | undefined): unknown[] {
  const value = element?.Value;
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "object") {
    const name = value as Record<string, unknown>;
    const forms = ["Alphabetic", "Ideographic", "Phonetic"].map((form) => name[form]).filter((form) => typeof form === "string" && form);
    const [first, second] = [...new Set(forms as string[])];
    return first ? personName(first) + (second ? ` ${personName(second)}` : "") : "";
  }
  return String(value);
}

const IDEOGRAPHIC = /^\p{Script=Han}+$/u;

/** `Doe^Jane^^Dr` → `Doe, Jane, Dr`; of `Wang^XiaoDong=王^小东` both forms, the Chinese one as it is written: 王小东. */
export function personName(name: string): string {
  const form = (text: string): string =>
    text
      .split("^")
      .map((part) => part.trim())
      .filter(Boolean)
      .reduce((whole, part) => (!whole || IDEOGRAPHIC.test(whole + part) ? whole + part : `${whole}, ${part}`), "");
  const [latin, ideographic, phonetic] = name.split("=").map(form);
  return [...new Set([latin, ideographic || phonetic])].filter(Boolean).join(" ");
}

/** 20240131 → 2024-01-31; anything else as it is. */
export function dateText(date: string): string {
  const parts = /^(\d{4})[.]?(\d{2})[.]?(\d{2})$/.exec(date);
  return parts ? `${parts[1]}-${parts[2]}-${parts[3]}` : date;
}

export function asObjects(body: unknown): DicomJson[] {
  return Array.isArray(body) ? body.filter((item): item is DicomJson => typeof item === "object" && item !== null) : [];
}
