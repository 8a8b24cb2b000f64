import { describe, expect, test } from "vitest";
import { crc32, crc32Text } from "../src/wire/crc32";
import { dateText, personName, text } from "../src/wire/dicom_json";
import { parseInfo } from "../src/wire/info";
import { frameRateOf } from "../src/wire/lists";
import { parsePhysics } from "../src/wire/plausibility";
import { RecordReader } from "../src/wire/records";
import { parseCounts } from "../src/wire/slice_source";
import { batches, instanceUid, results } from "../src/wire/store";
import { filterRows, type TagRow } from "../src/wire/tags";
import { expected, info, sent } from "./fixtures";

test("the CRC-32 of every slice is the one Python sent", () => {
  expect(sent.map(crc32Text)).toEqual(expected.crc32);
});

test("CRC-32 of lengths that are no multiple of eight", () => {
  expect(crc32Text(new TextEncoder().encode("123456789"))).toBe("cbf43926");
  expect(crc32Text(new Uint8Array())).toBe("00000000");
});

test("the server's description is read whole", () => {
  expect(info.shape).toEqual([6, 16, 24]);
  expect(info.unit).toBe("HU");
  expect(info.verdict).toBe("sheared");
  expect(Math.abs(info.tilt)).toBeCloseTo(12, 3);
  expect(info.slices).toHaveLength(6);
  expect(info.slices[0]).toMatchObject({ slope: 1, intercept: -1024, frame: 1, table: false });
});

test.each([null, [], "x", { shape: [1, 2] }, { shape: [2, 3, 4], slices: [] }, { shape: null, affine: [[1]] }, { shape: ["1", 2, 3] }])("a description that cannot be relied on is refused: %j", (body) => {
  expect(() => parseInfo(body)).toThrow(/description/);
});

test("a series without values has none, and says why", () => {
  const found = parseInfo({ shape: null, affine: null, unit: "unspecified", verdict: "not a volume", reason: "colour", report: { warnings: [] } });
  expect(found.shape).toBeNull();
  expect(found.reason).toBe("colour");
});

test("counts of what was done to a slice", () => {
  expect(parseCounts("padded=12,clamped=3,saturated=0,rounded=1")).toEqual({ padded: 12, clamped: 3, saturated: 0, rounded: 1 });
  expect(parseCounts("")).toEqual({ padded: 0, clamped: 0, saturated: 0, rounded: 0 });
});

describe("DICOM JSON", () => {
  test("names, dates and dirt", () => {
    expect(text({ "00100010": { vr: "PN", Value: [{ Alphabetic: "Wang^XiaoDong", Ideographic: "王^小东" }] } }, "00100010")).toBe("Wang, XiaoDong 王小东");
    expect(personName("Wang^XiaoDong=王^小东=")).toBe("Wang, XiaoDong 王小东");
    expect(personName("")).toBe("");
    expect(dateText("20240131")).toBe("2024-01-31");
    expect(dateText("soon")).toBe("soon");
    expect(text({ "00080020": { Value: [null] } }, "00080020")).toBe("");
    expect(text({ "00080020": { Value: "scalar" } }, "00080020")).toBe("scalar");
  });
});

test.each([
  [{ "00082144": [25], "00180040": [10], "00181063": [100] }, 25],
  [{ "00180040": ["12"], "00181063": [100] }, 12],
  [{ "00181063": [40] }, 25],
  [{ "00180040": [0], "00181063": [0] }, null],
  [{ "00180040": [500] }, 60],
  [{}, null],
])("the frames a second of %j", (values, rate) => {
  const item = Object.fromEntries(Object.entries(values).map(([tag, Value]) => [tag, { Value }]));
  expect(frameRateOf(item)).toBe(rate);
});

test("every file of an upload has its result", () => {
  const uid = (value: string) => ({ "00081155": { vr: "UI", Value: [value] } });
  const code = (tag: string, value: number) => ({ [tag]: { vr: "US", Value: [value] } });
  const said = {
    "00081199": { vr: "SQ", Value: [uid("1.1"), { ...uid("1.2"), ...code("00081196", 0xb000) }] },
    "00081198": { vr: "SQ", Value: [{ ...uid("1.3"), ...code("00081197", 0x111), "00741048": { vr: "SQ", Value: [{ "00000902": { vr: "LO", Value: ["other content"] } }] } }] },
    "0008119A": { vr: "SQ", Value: [code("00081197", 0xc000)] },
  };
  const files = ["1.1", "1.2", "1.3", "", "1.4"].map((each, k) => ({ name: `${k}.dcm`, uid: each }));
  expect(results(JSON.stringify(said), files).map((each) => [each.name, each.outcome, each.code, each.comment])).toEqual([
    ["0.dcm", "stored", 0, ""],
    ["1.dcm", "warned", 0xb000, ""],
    ["2.dcm", "refused", 0x111, "other content"],
    ["3.dcm", "refused", 0xc000, ""],
    ["4.dcm", "unconfirmed", 0, ""],
  ]);
  expect(results("<html>", files).every((each) => each.outcome === "unconfirmed")).toBe(true);
});

test("a file tells its SOP Instance UID", async () => {
  const element = (number: number, vr: string, value: string) => {
    const bytes = [2, 0, number, 0, ...Buffer.from(vr)];
    return vr === "OB" ? [...bytes, 0, 0, value.length, 0, 0, 0, ...Buffer.from(value)] : [...bytes, value.length, 0, ...Buffer.from(value)];
  };
  const file = (...elements: number[][]) => new Blob([new Uint8Array([...new Uint8Array(128), ...Buffer.from("DICM"), ...elements.flat()])]);
  expect(await instanceUid(file(element(0, "UL", "abcd"), element(1, "OB", "\0\x01"), element(2, "UI", "1.2.840\0"), element(3, "UI", "1.2.3.45\0")))).toBe("1.2.3.45");
  expect(await instanceUid(file(element(1, "OB", "\0\x01")))).toBe("");
  expect(await instanceUid(new Blob(["no DICOM at all"]))).toBe("");
});

test("files go in batches by bytes", () => {
  const files = [5, 5, 5, 20, 1].map((size) => ({ size }));
  expect(batches(files, 10).map((batch) => batch.map((each) => each.size))).toEqual([[5, 5], [5], [20], [1]]);
});

test("a tag that is searched for comes with the sequence it stands in", () => {
  const row = (depth: number, keyword: string, distinct = 1): TagRow => ({ group: ["Image", "图像"], depth, number: "", keyword, vr: "", name: [keyword, keyword], value: "", explanation: ["", ""], distinct });
  const rows = [row(0, "Rows"), row(0, "Sequence"), row(1, "Item 0"), row(2, "CodeValue"), row(1, "Item 1"), row(2, "Other"), row(0, "Columns", 3)];
  expect(filterRows(rows, "codevalue", false).map((each) => each.keyword)).toEqual(["Sequence", "Item 0", "CodeValue"]);
  expect(filterRows(rows, "", true).map((each) => each.keyword)).toEqual(["Columns"]);
  expect(filterRows(rows, "nothing", false)).toEqual([]);
});

test("a verdict of physics is read as far as it can be relied on", () => {
  const evidence = [
    { key: "air", number: -1000.4, sentence: "air reads −1000 HU", sentence_zh: "空气为 −1000 HU" },
    { key: "no-tissue", number: null, sentence: "no patch of tissue", sentence_zh: "没有组织" },
  ];
  const found = parsePhysics({ plausibility: { verdict: "unknown", evidence }, histogram: { first: -2048, step: 32, counts: [1, "x", 2] } });
  expect(found).toMatchObject({ verdict: "unknown", air: -1000.4, tissue: null, looksLike: null, histogram: { first: -2048, step: 32, counts: [1, 0, 2] } });
  expect(found!.evidence[1]).toEqual({ key: "no-tissue", en: "no patch of tissue", zh: "没有组织" });
  for (const body of [null, [], {}, { plausibility: null, histogram: null }, { plausibility: { verdict: "fine" } }]) expect(parsePhysics(body)).toBeNull();
  expect(parsePhysics({ plausibility: { verdict: "plausible" } })!.histogram).toEqual({ first: 0, step: 1, counts: [] });
});

describe("records of many slices", () => {
  const record = (index: number, status: number, body: Uint8Array, crc?: number): Uint8Array => {
    const out = new Uint8Array(32 + body.length);
    const head = new DataView(out.buffer);
    [index, status, body.length, crc ?? crc32(body), 1, 2, 3, 4].forEach((word, at) => head.setUint32(4 * at, word, true));
    out.set(body, 32);
    return out;
  };
  const all = new Uint8Array([...record(7, 200, Uint8Array.of(1, 2, 3, 4)), ...record(6, 500, new Uint8Array()), ...record(8, 200, Uint8Array.of(9, 9), 1)]);

  test.each([1, 5, 33, 1000])("are the same however they are cut: %i bytes at a time", (size) => {
    const reader = new RecordReader();
    const found = [];
    for (let at = 0; at < all.length; at += size) found.push(...reader.push(all.subarray(at, at + size)));
    expect(found.map(({ index, status, whole, body }) => [index, status, whole, [...new Uint8Array(body)]])).toEqual([
      [7, 200, true, [1, 2, 3, 4]],
      [6, 500, true, []],
      [8, 200, false, [9, 9]],
    ]);
    expect(found[0]!.counts).toEqual([1, 2, 3, 4]);
    expect(reader.atEnd).toBe(true);
  });

  test("an answer that is cut off is not at its end, and one that claims the world is none", () => {
    const reader = new RecordReader();
    reader.push(all.subarray(0, 35));
    expect(reader.atEnd).toBe(false);
    expect(() => new RecordReader().push(new Uint8Array(32).fill(255))).toThrow(/bytes/);
  });
});
