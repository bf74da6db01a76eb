import sharp from "sharp";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bits, colours, fragments, imageElements, type TestElements } from "../test-dicom.js";
import { rgbOf, storedOf } from "../test-object.js";
import { encode } from "./test-encoders.js";

const width = 24;
const height = 16;
const none = new Uint8Array(0);

const syntaxes = {
  "jpeg-ls": "1.2.840.10008.1.2.4.80",
  "jpeg-2000": "1.2.840.10008.1.2.4.90",
  htj2k: "1.2.840.10008.1.2.4.201",
} as const;
const jpeg = { syntax: "1.2.840.10008.1.2.4.50" };
const extended = { syntax: "1.2.840.10008.1.2.4.51" };
const rle = { syntax: "1.2.840.10008.1.2.5" };

function image(encoded: Uint8Array, over: TestElements = {}): TestElements {
  return { ...imageElements(width, height, none, over), ...fragments([encoded]) };
}

/** A smooth pattern with steps, of values from low to high. */
function values(low: number, high: number, bands = 1): number[] {
  const span = high - low + 1;
  return Array.from({ length: width * height * bands }, (_, i) => low + ((i * 37 + (i >> 4) * 911) % span));
}

const depths = [
  ["8 bits", new Uint8Array(values(0, 255)), 8, 8, 0],
  ["12 bits", new Uint16Array(values(0, 4095)), 16, 12, 0],
  ["16 bits", new Uint16Array(values(0, 65535)), 16, 16, 0],
] as const;

describe.each(["jpeg-ls", "jpeg-2000", "htj2k"] as const)("%s", (codec) => {
  const form = { syntax: syntaxes[codec] };

  it.each(depths)("gives %s as they were", async (_, pixels, allocated, stored) => {
    const shape = { width, height, bitsPerSample: stored, componentCount: 1, isSigned: false };
    const encoded = await encode(codec, pixels, shape);
    expect(await storedOf(image(encoded, bits(allocated, stored)), form)).toEqual([...pixels]);
  });

  it("gives signs back that the encoder did not know of", async () => {
    const signed = new Int16Array(values(-2048, 2047));
    const unsigned = Uint16Array.from(signed, (value) => value & 0xfff);
    const shape = { width, height, bitsPerSample: 12, componentCount: 1, isSigned: false };
    const encoded = await encode(codec, unsigned, shape);
    expect(await storedOf(image(encoded, bits(16, 12, 11, 1)), form)).toEqual([...signed]);
    expect(await storedOf(image(encoded, bits(16, 16, 15, 1)), form)).toEqual([...signed]);
  });

  it("gives colours as they were", async () => {
    const pixels = new Uint8Array(values(0, 255, 3));
    const shape = { width, height, bitsPerSample: 8, componentCount: 3, isSigned: false };
    const encoded = await encode(codec, pixels, shape, (encoder) => encoder.setInterleaveMode?.(2));
    expect(await rgbOf(image(encoded, colours("RGB")), form)).toEqual([...pixels]);
  });

  it("refuses what is cut off, changed, empty, or of another size", async () => {
    const shape = { width, height, bitsPerSample: 8, componentCount: 1, isSigned: false };
    const encoded = await encode(codec, depths[0][1], shape);
    const other = imageElements(width + 1, height, none);
    await expect(storedOf({ ...other, ...fragments([encoded]) }, form)).rejects.toMatchObject({ reason: "damaged" });
    await expect(storedOf(image(encoded, bits(16, 12)), form)).resolves.toHaveLength(width * height);
    for (const bad of [encoded.subarray(0, 30), Uint8Array.from({ length: 400 }, (_, i) => i), new Uint8Array(2)]) {
      await expect(storedOf(image(bad), form)).rejects.toBeDefined();
    }
    // After a failure the next image is decoded as if nothing had been.
    expect(await storedOf(image(encoded), form)).toEqual([...depths[0][1]]);
  });
});

describe("jpeg-ls and jpeg-2000 apart", () => {
  it("reads planes that JPEG-LS does not interleave", async () => {
    const pixels = new Uint8Array(values(0, 255, 3));
    const planes = Uint8Array.from(
      pixels,
      (_, i) => pixels[(i % (width * height)) * 3 + Math.floor(i / (width * height))]!,
    );
    const shape = { width, height, bitsPerSample: 8, componentCount: 3, isSigned: false };
    const encoded = await encode("jpeg-ls", planes, shape, (encoder) => encoder.setInterleaveMode?.(0));
    expect(await rgbOf(image(encoded, colours("RGB")), { syntax: syntaxes["jpeg-ls"] })).toEqual([...pixels]);
  });

  it("undoes the colour transform that JPEG 2000 made", async () => {
    const pixels = new Uint8Array(values(0, 255, 3));
    const shape = { width, height, bitsPerSample: 8, componentCount: 3, isSigned: false, isUsingColorTransform: true };
    const encoded = await encode("htj2k", pixels, shape);
    expect(await rgbOf(image(encoded, colours("YBR_RCT")), { syntax: syntaxes.htj2k })).toEqual([...pixels]);
  });

  it("reads signed values of JPEG 2000", async () => {
    const pixels = new Int16Array(values(-2000, 2000));
    const shape = { width, height, bitsPerSample: 16, componentCount: 1, isSigned: true };
    const encoded = await encode("jpeg-2000", pixels, shape);
    const form = { syntax: syntaxes["jpeg-2000"] };
    expect(await storedOf(image(encoded, bits(16, 16, 15, 1)), form)).toEqual([...pixels]);
  });

  it("is within what near-lossless JPEG-LS allows", async () => {
    const pixels = new Uint8Array(values(0, 255));
    const shape = { width, height, bitsPerSample: 8, componentCount: 1, isSigned: false };
    const encoded = await encode("jpeg-ls", pixels, shape, (encoder) => encoder.setNearLossless?.(2));
    const stored = await storedOf(image(encoded), { syntax: "1.2.840.10008.1.2.4.81" });
    expect(Math.max(...stored.map((value, i) => Math.abs(value - pixels[i]!)))).toBe(2);
  });

  it("refuses tiles without number before they are made", async () => {
    const shape = { width, height, bitsPerSample: 8, componentCount: 1, isSigned: false };
    const encoded = Buffer.from(await encode("jpeg-2000", depths[0][1], shape));
    encoded.writeUInt32BE(1, 24);
    encoded.writeUInt32BE(1, 28);
    const form = { syntax: syntaxes["jpeg-2000"] };
    await expect(storedOf(image(encoded), form)).rejects.toMatchObject({ reason: "damaged" });
  });
});

describe("output of decoders", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });
  it("stays off the process's streams", async () => {
    const written = [vi.spyOn(process.stdout, "write"), vi.spyOn(process.stderr, "write"), vi.spyOn(console, "log")];
    const form = { syntax: syntaxes["jpeg-2000"] };
    const shape = { width, height, bitsPerSample: 8, componentCount: 1, isSigned: false };
    const encoded = await encode("jpeg-2000", depths[0][1], shape);
    await storedOf(image(encoded), form);
    await storedOf(image(encoded.subarray(0, 120)), form).catch(() => {});
    for (const spy of written) expect(spy).not.toHaveBeenCalled();
  });
});

describe("jpeg", () => {
  const flat = (r: number, g: number, b: number) =>
    sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
  const near = (values: number[], expected: readonly number[]): void => {
    for (const [i, value] of values.entries())
      expect(Math.abs(value - expected[i % expected.length]!)).toBeLessThanOrEqual(2);
  };

  it("turns YCbCr into RGB, subsampled or not", async () => {
    for (const chromaSubsampling of ["4:4:4", "4:2:0"]) {
      const encoded = await flat(200, 60, 30).jpeg({ quality: 100, chromaSubsampling }).toBuffer();
      near(await rgbOf(image(encoded, colours("YBR_FULL_422")), jpeg), [200, 60, 30]);
    }
  });

  it("leaves RGB alone that no marker calls YCbCr", async () => {
    // Three bands that are what they are: the Y, Cb, Cr of a JPEG without its JFIF segment.
    const encoded = withoutApplicationSegments(
      await flat(200, 60, 30).jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer(),
    );
    near(await rgbOf(image(encoded, colours("RGB")), jpeg), [98, 89, 201]);
    near(await rgbOf(image(encoded, colours("YBR_FULL")), jpeg), [200, 60, 30]);
  });

  it("refuses half an image", async () => {
    const encoded = await flat(200, 60, 30).jpeg().toBuffer();
    const half = image(encoded.subarray(0, -20), colours("YBR_FULL"));
    await expect(rgbOf(half, jpeg)).rejects.toMatchObject({ reason: "truncated" });
  });

  it("reads 8 bits of Extended", async () => {
    const encoded = await flat(9, 9, 9).toColourspace("b-w").jpeg({ quality: 100 }).toBuffer();
    near(await storedOf(image(encoded), extended), [9]);
  });

  it("reads 12 bits of Extended without a change of brightness", async () => {
    for (const level of [0, 1, 500, 2047]) {
      const encoded = flat12(level);
      expect(
        new Set(await storedOf({ ...imageElements(8, 8, none, bits(16, 12)), ...fragments([encoded]) }, extended)),
      ).toEqual(new Set([2048 + level]));
    }
  });

  it.each([
    ["nothing", new Uint8Array(2)],
    ["a beginning only", Uint8Array.from([0xff, 0xd8, 0xff, 0xe0])],
    ["markers out of step", Uint8Array.from([0xff, 0xd8, ...new Array<number>(40).fill(7)])],
    ["lengths of zero", Uint8Array.from([0xff, 0xd8, ...new Array<number>(40).fill(0xff), 0xe0, 0, 0])],
  ])("refuses %s", async (_, encoded) => {
    for (const syntax of ["50", "51", "57", "70", "80"]) {
      const form = { syntax: `1.2.840.10008.1.2.4.${syntax}` };
      await expect(storedOf(image(encoded), form)).rejects.toMatchObject({
        reason: expect.stringMatching(/damaged|truncated/),
      });
    }
  });
});

describe("rle", () => {
  it("reads literal runs, repeats and pads, byte by byte from the highest", async () => {
    const high = [2, 1, 2, 3, 0x80, 0xff, 9]; // three literals, nothing, two nines
    const low = [0xfc, 7]; // five sevens
    const encoded = rleFrame([high, low]);
    const elements = { ...imageElements(5, 1, none, bits(16, 16)), ...fragments([encoded]) };
    expect(await storedOf(elements, rle)).toEqual([1, 2, 3, 9, 9].map((value) => value * 256 + 7));
  });

  it("interleaves the segments of colours", async () => {
    const encoded = rleFrame([
      [1, 1, 2],
      [1, 3, 4],
      [1, 5, 6],
    ]);
    const elements = { ...imageElements(2, 1, none, colours("RGB", 1)), ...fragments([encoded]) };
    expect(await storedOf(elements, rle)).toEqual([1, 3, 5, 2, 4, 6]);
  });

  it.each([
    ["too few bytes", rleFrame([[0xff, 7]]), "truncated"],
    [
      "too many segments",
      rleFrame([
        [0xfc, 7],
        [0xfc, 7],
      ]),
      "damaged",
    ],
    ["half a header", new Uint8Array(20), "truncated"],
  ])("refuses %s", async (_, encoded, reason) => {
    const elements = { ...imageElements(5, 1, none), ...fragments([encoded]) };
    await expect(storedOf(elements, rle)).rejects.toMatchObject({ reason });
  });
});

function rleFrame(segments: readonly (readonly number[])[]): Uint8Array {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(segments.length, 0);
  let offset = 64;
  for (const [index, segment] of segments.entries()) {
    header.writeUInt32LE(offset, 4 + index * 4);
    offset += segment.length;
  }
  return Buffer.concat([header, ...segments.map((segment) => Buffer.from(segment))]);
}

function withoutApplicationSegments(bytes: Buffer): Buffer {
  const parts = [bytes.subarray(0, 2)];
  let at = 2;
  while (bytes[at + 1] !== 0xda) {
    const length = 2 + bytes.readUInt16BE(at + 2);
    if (bytes[at + 1]! < 0xe0) parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat([...parts, bytes.subarray(at)]);
}

/** 8×8 pixels of 12 bits, all `level` above the middle: one block whose only coefficient is the first (ITU-T T.81). */
function flat12(level: number): Uint8Array {
  const quantization = [0xff, 0xdb, 0, 67, 0, ...new Array<number>(64).fill(1)];
  const frame = [0xff, 0xc1, 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0];
  // One code word each: 0 says 15 bits of difference, and 0 the end of the block.
  const table = (kind: number, value: number) => [0xff, 0xc4, 0, 20, kind, 1, ...new Array<number>(15).fill(0), value];
  const scan = [0xff, 0xda, 0, 8, 1, 1, 0x00, 0, 63, 0];
  const coefficient = level * 8;
  const size = coefficient === 0 ? 0 : Math.floor(Math.log2(coefficient)) + 1;
  const code = `0${size === 0 ? "" : coefficient.toString(2)}0`;
  const padded = code.padEnd(Math.ceil(code.length / 8) * 8, "1");
  const data = (padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
  const stuffed = data.flatMap((byte) => (byte === 0xff ? [0xff, 0] : [byte]));
  return Uint8Array.from([
    0xff,
    0xd8,
    ...quantization,
    ...frame,
    ...table(0x00, size),
    ...table(0x10, 0),
    ...scan,
    ...stuffed,
    0xff,
    0xd9,
  ]);
}
