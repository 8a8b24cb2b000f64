// Uploading: files or whole folders dropped anywhere on the page, or chosen; sent in batches, told as they go.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { batches, store, type FileResult } from "../wire/store";
import { Icon } from "./icons";
import { askCapabilities, canStore } from "./permissions";
import { panes } from "./session";
import { words } from "./settings";
import { shortly } from "./trouble";
import { UploadProgress, type Progress } from "./upload_results";

/** How many uploads ended; lists reload when it changes. */
export const uploads = signal(0);

/** Where an image is opened, what may be stored is asked when that is no longer in its way. */
const AFTER_FIRST_IMAGE_MS = 1500;

const progress = signal<Progress | null>(null);

export async function upload(files: readonly File[]): Promise<void> {
  if (!files.length) return;
  let now: Progress = { done: 0, total: files.length, results: [], over: false };
  progress.value = now;
  for (const batch of batches(files)) {
    let results: FileResult[];
    try {
      results = await store(batch);
    } catch (error) {
      const comment = shortly(error instanceof Error ? error : new Error(String(error)));
      results = batch.map((file) => ({ name: file.name, uid: "", outcome: "refused", code: 0, comment }));
    }
    progress.value = now = { ...now, done: now.done + batch.length, results: [...now.results, ...results] };
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
  useEffect(() => void setTimeout(askCapabilities, panes.peek().length ? AFTER_FIRST_IMAGE_MS : 0), []);
  useEffect(() => {
    const enter = (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = canStore.value ? "copy" : "none";
      setOver(true);
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
      {over && <div class="drop-here">{canStore.value ? w.drop : w.noUpload}</div>}
      {now && <UploadProgress now={now} close={() => (progress.value = null)} />}
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
