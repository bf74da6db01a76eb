import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nameHash } from "../name-hash.js";
import { type ByteSource, fileBytes, memoryBytes } from "./byte-source.js";
import { parse } from "./dicom-file.js";
import { openBytes } from "./layout.js";
import { bigEndian, bits, deflated, dicomBytes, explicit, fragments, imageElements, implicit } from "./test-dicom.js";
import { decodeBytes, readHeaderOf } from "./test-object.js";

const pixels = new Uint8Array(Uint16Array.from([1, 2, 3, 4]).buffer);
const elements = imageElements(2, 2, pixels, bits(16, 16));

describe("files in every form", () => {
  it.each([
    ["with preamble", {}],
    ["without preamble", { preamble: false }],
    ["without meta information, explicit", { meta: false, syntax: explicit }],
    ["without meta information, implicit", { meta: false, syntax: implicit }],
    ["deflated", { syntax: deflated }],
  ])("reads one %s", async (_, form) => {
    expect([...(await decodeBytes(dicomBytes(elements, form))).frame.samples]).toEqual([1, 2, 3, 4]);
  });

  it("reads big endian without meta information", async () => {
    const swapped = { ...elements, "7fe00010": ["OW", Buffer.from(pixels).swap16()] } as const;
    const form = { meta: false, syntax: bigEndian };
    expect([...(await decodeBytes(dicomBytes(swapped, form))).frame.samples]).toEqual([1, 2, 3, 4]);
  });

  it("passes over what is not on the list, however long, and over 64-bit values", async () => {
    const long = {
      ...elements,
      "00091010": ["OB", Buffer.alloc(700_000, 7)],
      "00280009": ["OV", Buffer.alloc(16, 0xff)],
      "00400275": ["SQ", [{ "00400007": ["LO", "text"] }, {}]],
      "00404009": ["UN", Buffer.alloc(9)],
    } as const;
    for (const syntax of [explicit, implicit, deflated]) {
      expect([...(await decodeBytes(dicomBytes(long, { syntax }))).frame.samples]).toEqual([1, 2, 3, 4]);
    }
  });

  it("tells objects without pixels", async () => {
    const { "7fe00010": _, ...report } = elements;
    expect((await readHeaderOf(dicomBytes(report))).image).toBeUndefined();
  });
});

describe("files that are no good", () => {
  const file = dicomBytes(elements);
  it.each([
    ["nothing", Buffer.alloc(0), "empty"],
    ["text", Buffer.from("this is no DICOM file, but a letter to the editor".repeat(9)), "unsupported-format"],
    ["a few bytes", Buffer.from("DI"), "unsupported-format"],
    ["a PNG", Buffer.from("89504e470d0a1a0a".repeat(40), "hex"), "unsupported-format"],
    ["a preamble only", file.subarray(0, 132), "truncated"],
    ["half of the meta information", file.subarray(0, 140), "truncated"],
    ["half of its pixels", file.subarray(0, file.length - 4), "truncated"],
    ["another transfer syntax", dicomBytes(elements, { syntax: "1.2.840.10008.1.2.4.100" }), "unsupported-format"],
    ["a private transfer syntax", dicomBytes(elements, { syntax: "1.2.3.4" }), "unsupported-format"],
    ["native pixels said to be compressed", dicomBytes(elements, { syntax: "1.2.840.10008.1.2.5" }), "damaged"],
    ["compressed pixels said to be native", dicomBytes({ ...elements, ...fragments([pixels]) }), "damaged"],
    ["deflated data that end early", cutDeflated(20), "truncated"],
    ["deflated data that are none", Buffer.concat([meta(), Buffer.alloc(60, 0xff)]), "damaged"],
  ])("says of %s why", async (_, bytes, reason) => {
    await expect(readHeaderOf(bytes)).rejects.toMatchObject({ reason });
  });

  it("stops inflating at the limit", async () => {
    const bomb = Buffer.concat([meta(), deflateRawSync(Buffer.alloc(5_000_001))]);
    expect(bomb.length).toBeLessThan(10_000);
    await expect(openBytes(memoryBytes(bomb), 5_000_000)).rejects.toMatchObject({ reason: "file-too-large" });
  });

  it("names no transfer syntax but the standard's", async () => {
    const message = async (syntax: string) =>
      String(await readHeaderOf(dicomBytes(elements, { syntax })).catch((e: unknown) => e));
    expect(await message("1.2.840.10008.1.2.4.100")).toContain("1.2.840.10008.1.2.4.100");
    expect(await message("1.2.34567.4711")).not.toContain("34567");
  });

  it("bears nesting without end", async () => {
    const item = Buffer.from("feff00e0ffffffff", "hex");
    const sequence = Buffer.from("4000750253510000ffffffff", "hex");
    const deep = Array.from({ length: 100_000 }, () => Buffer.concat([sequence, item]));
    await expect(readHeaderOf(Buffer.concat([dicomBytes({}), ...deep]))).rejects.toBeDefined();
  });

  function cutDeflated(count: number): Buffer {
    const whole = dicomBytes(elements, { syntax: deflated });
    return whole.subarray(0, whole.length - count);
  }
  function meta(): Buffer {
    return dicomBytes({}, { syntax: deflated }).subarray(0, -deflateRawSync(Buffer.alloc(0)).length);
  }
});

describe("compressed frames", () => {
  const rle = { syntax: "1.2.840.10008.1.2.5" };
  const frame = (value: number): Buffer => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(1, 0);
    header.writeUInt32LE(64, 4);
    return Buffer.concat([header, Buffer.from([0xfd, value])]);
  };
  const frames = [frame(7), frame(8), frame(9)];
  const three = imageElements(2, 2, pixels, { "00280008": ["IS", "3"] });
  const value = async (bytes: Buffer, index: number) => (await decodeBytes(bytes, index)).frame.samples[0];
  const shapes = {
    "one fragment each": fragments(frames),
    "an offset table": fragments(frames, [0, 74, 148]),
    "an extended offset table": {
      ...fragments(frames),
      "7fe00001": ["OV", new Uint8Array(BigUint64Array.from([0n, 74n, 148n]).buffer)],
      "7fe00002": ["OV", new Uint8Array(BigUint64Array.from([66n, 66n, 66n]).buffer)],
    },
    "an offset table and several fragments each": fragments(
      frames.flatMap((bytes) => [bytes.subarray(0, 64), bytes.subarray(64)]),
      [0, 82, 164],
    ),
  } as const;

  it.each(Object.entries(shapes))("finds them by %s", async (_, form) => {
    const bytes = dicomBytes({ ...three, ...form }, rle);
    expect([await value(bytes, 2), await value(bytes, 0), await value(bytes, 1)]).toEqual([9, 7, 8]);
  });

  it("joins all fragments of a single frame", async () => {
    const parts = [frames[1]!.subarray(0, 30), frames[1]!.subarray(30)];
    expect(await value(dicomBytes({ ...imageElements(2, 2, pixels), ...fragments(parts) }, rle), 0)).toBe(8);
  });

  it.each([
    ["fewer fragments than frames", fragments(frames.slice(1)), "truncated"],
    ["no fragment", fragments([]), "damaged"],
    ["fragments that cannot be told apart", fragments([...frames, frames[0]!]), "damaged"],
    ["offsets beyond the end", fragments(frames, [0, 74, 9000]), "damaged"],
    ["offsets that go back", fragments(frames, [0, 148, 74]), "damaged"],
    ["offsets into the middle", fragments(frames, [0, 74, 150]), "damaged"],
  ] as const)("refuses %s", async (_, form, reason) => {
    const bytes = dicomBytes({ ...three, ...form }, rle);
    const outcomes = await Promise.allSettled([0, 1, 2].map((index) => value(bytes, index)));
    const failures = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(failures[0]).toMatchObject({ reason: { reason } });
  });

  it("refuses fragments that go beyond the end", async () => {
    const bytes = dicomBytes({ ...three, ...fragments(frames) }, rle);
    await expect(value(bytes.subarray(0, -40), 0)).rejects.toMatchObject({ reason: "truncated" });
  });
});

describe("reading no more than is needed", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dicom-layout-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("reads the header and one frame of a large file", async () => {
    const count = 200;
    const all = Buffer.alloc(count * 256 * 256, 5);
    const path = join(folder, "large.dcm");
    await writeFile(path, dicomBytes(imageElements(256, 256, all, { "00280008": ["IS", String(count)] })));
    const file = await open(path);
    const { size } = await file.stat();
    let read = 0;
    const whole = fileBytes(file, size);
    const counted: ByteSource = {
      size,
      read: (offset, length) => {
        read += length;
        return whole.read(offset, length);
      },
    };
    const opened = await openBytes(counted);
    const { header, locator } = await parse(opened, {
      hash: nameHash("k"),
      limits: { maxPixels: 1e6, maxFileBytes: 1e9 },
    });
    const { decodeFrame } = await import("./decode-frame.js");
    await decodeFrame({ bytes: counted, encoding: header.encoding, image: header.image!, locator: locator! }, 150);
    await file.close();
    expect(read).toBeLessThan(3 * 65536 + 100);
  });

  it("tells a range that is not there", async () => {
    await expect(memoryBytes(pixels).read(4, 5)).rejects.toMatchObject({ reason: "truncated" });
  });
});
