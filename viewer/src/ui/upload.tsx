// Uploading: files or whole folders dropped anywhere on the page, or chosen; sent in batches, told as they go.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { capabilities } from "../wire/lists";
import { batches, store } from "../wire/store";
import { Icon } from "./icons";
import { words } from "./settings";

export const canStore = signal(false);
export const canDelete = signal(false);
/** How many uploads ended; lists reload when it changes. */
export const uploads = signal(0);

/** Asks what the server allows; until it says, nothing but looking is offered. */
export function askCapabilities(): void {
  capabilities().then(
    (allowed) => {
      canStore.value = allowed.store;
      canDelete.value = allowed.delete;
    },
    () => undefined,
  );
}

interface Progress {
  readonly done: number;
  readonly total: number;
  readonly stored: number;
  readonly failed: number;
  readonly reasons: readonly string[];
  readonly over: boolean;
}

const progress = signal<Progress | null>(null);

export async function upload(files: readonly File[]): Promise<void> {
  if (!files.length) return;
  let now: Progress = { done: 0, total: files.length, stored: 0, failed: 0, reasons: [], over: false };
  progress.value = now;
  for (const batch of batches(files)) {
    try {
      const outcome = await store(batch);
      now = { ...now, stored: now.stored + outcome.stored, failed: now.failed + outcome.failed, reasons: [...new Set([...now.reasons, ...outcome.reasons])] };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      now = { ...now, failed: now.failed + batch.length, reasons: [...new Set([...now.reasons, reason])] };
    }
    progress.value = now = { ...now, done: now.done + batch.length };
  }
  progress.value = { ...now, over: true };
  uploads.value += 1;
}

export function UploadButton() {
  const w = words.value;
  if (!canStore.value) return null;
  return (
    <label class="button primary upload">
      <Icon name="upload" />
      <span class="upload-name">{w.upload}</span>
      <input
        class="hidden"
        type="file"
        multiple
        aria-label={w.uploadFiles}
        onChange={(event) => {
          void upload([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
    </label>
  );
}

/** Takes drops on the whole page, and shows what becomes of them. */
export function UploadArea() {
  const w = words.value;
  const [over, setOver] = useState(false);
  useEffect(askCapabilities, []);
  useEffect(() => {
    const enter = (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(canStore.value);
    };
    const leave = (event: DragEvent): void => {
      if (!event.relatedTarget) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      if (canStore.value && event.dataTransfer) void dropped(event.dataTransfer).then(upload);
    };
    addEventListener("dragover", enter);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  const now = progress.value;
  return (
    <>
      {over && <div class="drop-here">{w.drop}</div>}
      {now && (
        <div class="upload-progress" role="status">
          <strong>{now.over ? w.upload : w.uploading}</strong>
          <progress max={now.total} value={now.done} />
          <span>
            {now.stored} {w.uploaded}
            {now.failed > 0 && ` · ${now.failed} ${w.refused}`}
          </span>
          {now.reasons.slice(0, 3).map((reason) => (
            <small key={reason}>{reason}</small>
          ))}
          {now.over && (
            <button class="small" aria-label={w.close} onClick={() => (progress.value = null)}>
              <Icon name="close" />
            </button>
          )}
        </div>
      )}
    </>
  );
}

const MOST_FILES = 50_000;

/** Every file of a drop, folders walked through. */
async function dropped(transfer: DataTransfer): Promise<File[]> {
  // Entries must be taken before the first wait: the list is emptied after the event.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => !!entry);
  if (!entries.length) return [...transfer.files];
  const files: File[] = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}

async function walk(entry: FileSystemEntry, files: File[]): Promise<void> {
  if (files.length >= MOST_FILES) return;
  if (entry.isFile) {
    files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, files);
  }
}
