import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { UnreadableReason } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { readVolume } from "./read-volume.js";
import { madeNifti, madeNifti2 } from "./testing/made-volumes.js";
import type { Volume } from "./volume.js";

const limits = { maxPixels: 1_000_000, maxFileBytes: 10_000_000 };
const folder = temporaryFolder();

async function read(bytes: Uint8Array, name = "a.nii"): Promise<Volume> {
  await put(folder(), name, bytes);
  return readVolume(join(folder(), name), { limits });
}

const counted = Array.from({ length: 120 }, (_, index) => index);

describe("readVolume of NIfTI", () => {
  const types = [
    ["uint8", 2, Uint8Array, counted],
    ["int8", 256, Int8Array, counted.map((value) => value - 60)],
    ["int16", 4, Int16Array, counted.map((value) => value * 250 - 15_000)],
    ["uint16", 512, Uint16Array, counted.map((value) => value * 500)],
    ["int32", 8, Int32Array, counted.map((value) => value * 100_000 - 6_000_000)],
    ["uint32", 768, Uint32Array, counted.map((value) => value * 65_536)],
    ["int64", 1024, BigInt64Array, counted.map((value) => 3 - value)],
    ["uint64", 1280, BigUint64Array, counted],
    ["float32", 16, Float32Array, counted.map((value) => value / 8)],
    ["float64", 64, Float64Array, counted.map((value) => value / 8)],
  ] as const;

  it.each(types)("reads voxels of %s in both byte orders", async (_, code, Stored, values) => {
    const stored = new Stored(120);
    for (const [index, value] of values.entries()) {
      stored[index] = stored instanceof BigInt64Array || stored instanceof BigUint64Array ? BigInt(value) : value;
    }
    const voxels = new Uint8Array(stored.buffer);
    const width = Stored.BYTES_PER_ELEMENT;
    const reversed = voxels.map((__, at) => voxels[at - (at % width) + width - 1 - (at % width)]!);
    const datatype = [code, 8 * width] as const;
    expect([...(await read(madeNifti({ datatype, voxels }))).data]).toEqual(values);
    const big = await read(madeNifti({ datatype, voxels: reversed, littleEndian: false, pixdim: [1, 2, 3, 4] }));
    expect([...big.data]).toEqual(values);
    expect(big.spacing).toEqual([2, 3, 4]);
  });

  it("reads gzip as well, whatever the name says", async () => {
    expect([...(await read(gzipSync(madeNifti()), "a.nii.gz")).data]).toEqual(counted);
    expect([...(await read(gzipSync(madeNifti()), "b.nii")).data]).toEqual(counted);
    expect([...(await read(madeNifti(), "c.nii.gz")).data]).toEqual(counted);
  });

  it("applies slope and intercept, unless the slope is 0", async () => {
    const scaled = await read(madeNifti({ slope: 2, intercept: -1000 }));
    expect([scaled.data[0], scaled.data[119]]).toEqual([-1000, -762]);
    const plain = await read(madeNifti({ slope: 0, intercept: -1000 }));
    expect([plain.data[0], plain.data[119]]).toEqual([0, 119]);
  });

  it("takes the first frame of several", async () => {
    const volume = await read(madeNifti({ dims: [2, 3, 4, 5] }));
    expect([volume.dims, volume.data.length]).toEqual([[2, 3, 4], 24]);
    expect([...volume.data]).toEqual(counted.slice(0, 24));
  });

  it("takes a plane as a volume of one slice", async () => {
    expect(await read(madeNifti({ dims: [12, 10], pixdim: [1, 2, 2, 0] }))).toMatchObject({
      dims: [12, 10, 1],
      spacing: [2, 2, 1],
    });
  });

  it("prefers the sform to the qform and the qform to the spacing", async () => {
    const sform = [2, 0, 0, -10, 0, 3, 0, -20, 0, 0, 4, -30];
    const qform = { quaternion: [0, 0, 0], offset: [1, 2, 3] };
    const pixdim = [1, 5, 6, 7];
    expect((await read(madeNifti({ sform, qform, pixdim, qformCode: 2 }))).affine).toEqual([
      [2, 0, 0, -10],
      [0, 3, 0, -20],
      [0, 0, 4, -30],
    ]);
    expect((await read(madeNifti({ qform, pixdim }))).affine).toEqual([
      [5, 0, 0, 1],
      [0, 6, 0, 2],
      [0, 0, 7, 3],
    ]);
    expect((await read(madeNifti({ pixdim }))).spacing).toEqual([5, 6, 7]);
  });

  it("brings metres and micrometres to millimetres", async () => {
    expect((await read(madeNifti({ units: 3, pixdim: [1, 500, 500, 2000] }))).spacing).toEqual([0.5, 0.5, 2]);
    const metres = (await read(madeNifti({ units: 1, pixdim: [1, 0.25, 0.5, 0.5] }))).spacing;
    expect(metres).toEqual([250, 500, 500]);
  });

  it("hands on the file's window and that it is a label map", async () => {
    expect(await read(madeNifti({ window: [-100, 300], intent: 1002 }))).toMatchObject({
      window: [-100, 300],
      declaredLabels: true,
    });
    expect((await read(madeNifti())).window).toBeUndefined();
  });

  it("reads NIfTI-2", async () => {
    const volume = await read(madeNifti2());
    expect(volume).toMatchObject({
      dims: [4, 5, 6],
      spacing: [1, 1, 1],
      affine: [
        [1, 0, 0, 7],
        [0, 1, 0, 8],
        [0, 0, 1, 9],
      ],
    });
    expect([...volume.data]).toEqual(counted);
  });
});

describe("readVolume of NIfTI that is no good", () => {
  const small = madeNifti();
  const patched = (at: number, ...bytes: number[]): Buffer => {
    const copy = Buffer.from(small);
    for (const [index, byte] of bytes.entries()) copy[at + index] = byte;
    return copy;
  };
  const huge = madeNifti({ dims: [30_000, 30_000, 2], voxels: new Uint8Array(100) });
  const claimed = madeNifti({ dims: [100, 100, 99], voxels: new Uint8Array(100) });
  const cases: readonly [string, Uint8Array, UnreadableReason][] = [
    ["no bytes", Buffer.alloc(0), "empty"],
    ["no NIfTI", Buffer.alloc(1000, "text"), "unsupported-format"],
    ["a header of its own file", patched(344, 0x6e, 0x69, 0x31), "unsupported-format"],
    ["a header that is cut", small.subarray(0, 200), "unsupported-format"],
    ["voxels that are cut", small.subarray(0, -1), "truncated"],
    ["packed voxels that are cut", gzipSync(small).subarray(0, -20), "truncated"],
    ["a wrong checksum", damagedChecksum(gzipSync(small)), "damaged"],
    ["complex voxels", patched(70, 32, 0, 64), "unsupported-pixels"],
    ["bits that contradict the type", patched(72, 16), "damaged"],
    ["no dimensions", patched(40, 0), "damaged"],
    ["a negative side", patched(42, 0xff, 0xff), "damaged"],
    ["voxels that begin nowhere", patched(108, 0, 0, 0x80, 0x7f), "damaged"],
    ["no spacing", madeNifti({ pixdim: [1, 1, 0, 1] }), "damaged"],
    ["axes in one plane", madeNifti({ sform: [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] }), "damaged"],
    ["spacings that differ a thousandfold", madeNifti({ pixdim: [1, 1, 1, 1000] }), "damaged"],
    ["more voxels than are allowed", huge, "too-many-pixels"],
    ["more voxels than its bytes can hold", claimed, "truncated"],
    ["more voxels than its packed bytes can hold", gzipSync(claimed), "truncated"],
    ["extensions that lead in circles", circling(), "truncated"],
  ];

  it.each(cases)("refuses %s", async (_, bytes, reason) => {
    await expect(read(bytes)).rejects.toMatchObject({ name: "ConsiliumError", reason });
  });

  it("refuses files that are too large, and missing ones", async () => {
    await put(folder(), "a.nii", small);
    const tight = { maxPixels: 1000, maxFileBytes: 100 };
    await expect(readVolume(join(folder(), "a.nii"), { limits: tight })).rejects.toMatchObject({
      reason: "file-too-large",
    });
    await expect(readVolume(join(folder(), "b.nii"), { limits })).rejects.toMatchObject({ reason: "missing" });
  });

  it("does not unpack more than the voxels that the header says", async () => {
    const bomb = gzipSync(Buffer.concat([small, Buffer.alloc(256 * 1024 ** 2)]), { level: 1 });
    const before = process.memoryUsage().rss;
    expect((await read(bomb, "a.nii.gz")).data.length).toBe(120);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 ** 2);
  });
});

function damagedChecksum(packed: Buffer): Buffer {
  packed[packed.length - 8]! ^= 1;
  return packed;
}

/** An extension of −16 bytes, before which one of 16 leads back to it. */
function circling(): Buffer {
  const file = madeNifti({ offset: 512, voxels: new Uint8Array(4) });
  file[348] = 1;
  file.writeInt32LE(16, 336);
  file.writeInt32LE(-16, 352);
  return file;
}
