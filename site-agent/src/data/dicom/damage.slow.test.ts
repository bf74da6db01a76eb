import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nameHash } from "../name-hash.js";
import { UnreadableImage } from "../source.js";
import { encode } from "./codecs/test-encoders.js";
import { openDicomFile } from "./dicom-file.js";
import { renderFrame } from "./render.js";
import { bits, colours, deflated, dicomBytes, fragments, imageElements, implicit } from "./test-dicom.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dicom-damage-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Numbers in 0…1 that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const side = 32;
const pixels = Uint8Array.from({ length: side * side }, (_, i) => (i * 7) & 0xff);
const wide = Uint16Array.from(pixels, (value) => value * 16);
const shape = { width: side, height: side, bitsPerSample: 8, componentCount: 1, isSigned: false };
const compressed = (uid: string, frame: Uint8Array) =>
  dicomBytes({ ...imageElements(side, side, pixels), ...fragments([frame]) }, { syntax: `1.2.840.10008.1.2.${uid}` });

const makers: Readonly<Record<string, () => Promise<Buffer>>> = {
  explicit: async () => dicomBytes(imageElements(side, side, new Uint8Array(wide.buffer), bits(16, 12))),
  implicit: async () => dicomBytes(imageElements(side, side, pixels), { syntax: implicit }),
  deflated: async () => dicomBytes(imageElements(side, side, pixels), { syntax: deflated }),
  rle: async () => compressed("5", literalRuns(pixels)),
  "jpeg-ls": async () => compressed("4.80", await encode("jpeg-ls", pixels, shape)),
  "jpeg-2000": async () => compressed("4.90", await encode("jpeg-2000", pixels, shape)),
  htj2k: async () => compressed("4.201", await encode("htj2k", pixels, shape)),
  jpeg: async () => {
    const raw = { width: side, height: side, channels: 3 } as const;
    const frame = await sharp({ create: { ...raw, background: "red" } })
      .jpeg()
      .toBuffer();
    const elements = { ...imageElements(side, side, pixels, colours("YBR_FULL_422")), ...fragments([frame]) };
    return dicomBytes(elements, { syntax: "1.2.840.10008.1.2.4.50" });
  },
};

describe("files with flipped bits", () => {
  it.each(Object.keys(makers).map((name, seed) => [name, seed] as const))(
    "reads %s or refuses it within a second",
    async (name, seed) => {
      const sound = await makers[name]!();
      const next = random(seed + 1);
      // Decoders are loaded once.
      await readDamaged(sound);
      let slowest = 0;
      for (let round = 0; round < 125; round++) {
        const damaged = Buffer.from(sound);
        for (let flips = 1 + Math.floor(next() * 3); flips > 0; flips--) {
          // The preamble says nothing.
          const at = 128 + Math.floor(next() * (damaged.length - 128));
          damaged[at]! ^= 1 << Math.floor(next() * 8);
        }
        const begin = process.cpuUsage();
        await readDamaged(damaged);
        const { user, system } = process.cpuUsage(begin);
        slowest = Math.max(slowest, (user + system) / 1000);
      }
      expect(slowest).toBeLessThan(1000);
    },
    120_000,
  );

  it("says of every way to cut a file off that it is unreadable", async () => {
    const sound = await makers["jpeg-ls"]!();
    for (let length = 0; length < sound.length - 12; length += 13) await expectUnreadable(sound.subarray(0, length));
  });
});

async function readDamaged(bytes: Buffer): Promise<void> {
  try {
    await read(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(UnreadableImage);
  }
}

async function expectUnreadable(bytes: Buffer): Promise<void> {
  await expect(read(bytes)).rejects.toBeInstanceOf(UnreadableImage);
}

async function read(bytes: Buffer): Promise<void> {
  const path = join(folder, "damaged.dcm");
  await writeFile(path, bytes);
  const limits = { maxPixels: 10_000_000, maxFileBytes: 10_000_000 };
  const file = await openDicomFile(path, { id: "damaged", limits, hash: nameHash("key") });
  try {
    await renderFrame(file, 0, { id: "damaged", workingSize: 16 });
  } finally {
    await file.close();
  }
}

function literalRuns(values: Uint8Array): Uint8Array {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(1, 0);
  header.writeUInt32LE(64, 4);
  const runs = Array.from({ length: values.length / 128 }, (_, i) =>
    Buffer.concat([Buffer.from([127]), values.subarray(i * 128, (i + 1) * 128)]),
  );
  return Buffer.concat([header, ...runs]);
}
