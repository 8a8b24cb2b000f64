// Many slices in one answer: records of a head of 32 bytes and a body, cut out of the chunks in which they come.
// The format is in docs/wire.md.

import { crc32 } from "./crc32";

const HEAD = 32;
/** Of a body; what claims more is no record. */
const LARGEST = 1 << 30;

export interface SliceRecord {
  readonly index: number;
  /** An HTTP status; the body of any but 200 is text. */
  readonly status: number;
  readonly body: ArrayBuffer;
  /** Padded, clamped, saturated, rounded. */
  readonly counts: readonly [number, number, number, number];
  /** Whether the body has the CRC-32 that its head says. */
  readonly whole: boolean;
}

export class RecordReader {
  private readonly head = new Uint8Array(HEAD);
  private body: Uint8Array<ArrayBuffer> | null = null;
  private filled = 0;

  /** The records that a chunk completes. Raises an error for what is no record. */
  push(chunk: Uint8Array): SliceRecord[] {
    const found: SliceRecord[] = [];
    for (let at = 0; at < chunk.length; ) {
      const target = this.body ?? this.head;
      const piece = chunk.subarray(at, at + target.length - this.filled);
      target.set(piece, this.filled);
      at += piece.length;
      this.filled += piece.length;
      if (this.filled < target.length) break;
      if (this.body) found.push(this.record(this.body));
      else this.begin(found);
    }
    return found;
  }

  /** Whether nothing is begun that did not end. */
  get atEnd(): boolean {
    return !this.body && this.filled === 0;
  }

  private begin(found: SliceRecord[]): void {
    const length = new DataView(this.head.buffer).getUint32(8, true);
    if (length > LARGEST) throw new RangeError(`a record of ${length} bytes`);
    this.body = new Uint8Array(length);
    this.filled = 0;
    if (!length) found.push(this.record(this.body));
  }

  private record(body: Uint8Array<ArrayBuffer>): SliceRecord {
    const head = new DataView(this.head.buffer);
    const word = (at: number): number => head.getUint32(4 * at, true);
    this.body = null;
    this.filled = 0;
    return { index: word(0), status: word(1), body: body.buffer, counts: [word(4), word(5), word(6), word(7)], whole: crc32(body) === word(3) };
  }
}
