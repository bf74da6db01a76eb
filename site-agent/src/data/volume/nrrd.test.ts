import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { UnreadableReason } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { readVolume } from "./read-volume.js";
import { type MadeNrrd, madeNrrd } from "./testing/made-volumes.js";
import type { Volume } from "./volume.js";

const limits = { maxPixels: 1_000_000, maxFileBytes: 10_000_000 };
const folder = temporaryFolder();
const counted = Array.from({ length: 120 }, (_, index) => index);

async function read(bytes: Uint8Array, name = "a.nrrd"): Promise<Volume> {
  await put(folder(), name, bytes);
  return readVolume(join(folder(), name), { limits });
}

const made = (fields: MadeNrrd["fields"], voxels?: Uint8Array): Promise<Volume> =>
  read(madeNrrd({ ...(fields === undefined ? {} : { fields }), ...(voxels === undefined ? {} : { voxels }) }));

describe("readVolume of NRRD", () => {
  const text = Buffer.from(counted.join(" "));
  it.each([
    ["raw", undefined],
    ["gzip", undefined],
    ["gz", gzipSync(Uint8Array.from(counted))],
    ["ascii", text],
    ["text", Buffer.concat([text, Buffer.from("\n")])],
  ])("reads the encoding %s", async (encoding, voxels) => {
    expect([...(await made({ encoding }, voxels)).data]).toEqual(counted);
  });

  it("reads wider voxels in both byte orders", async () => {
    const voxels = Buffer.alloc(240);
    for (const value of counted) voxels.writeInt16BE(value * 200 - 9000, 2 * value);
    const expected = counted.map((value) => value * 200 - 9000);
    expect([...(await made({ type: "short", endian: "big" }, voxels)).data]).toEqual(expected);
    expect([...(await made({ type: "signed short int" }, Buffer.from(voxels).swap16())).data]).toEqual(expected);
  });

  it("turns its spaces to right, anterior, superior", async () => {
    const directions = "(0.5,0,0) (0,0.5,0.1) (0,0,2)";
    const fields = { "space directions": directions, "space origin": "(10,20,30)" };
    expect((await made({ ...fields, space: "left-posterior-superior" })).affine).toEqual([
      [-0.5, -0, -0, -10],
      [-0, -0.5, -0, -20],
      [0, 0.1, 2, 30],
    ]);
    expect((await made({ ...fields, space: "LAS" })).affine.map((row) => row[3])).toEqual([-10, 20, 30]);
    expect((await made({ ...fields, space: "right-anterior-superior" })).affine.map((row) => row[3])).toEqual([
      10, 20, 30,
    ]);
  });

  it("takes spacings where there are no directions, and one millimetre where there is neither", async () => {
    const plain = { space: undefined, "space directions": undefined, "space origin": undefined };
    expect((await made({ ...plain, spacings: "0.5 0.5 nan" })).spacing).toEqual([0.5, 0.5, 1]);
    expect((await made(plain)).spacing).toEqual([1, 1, 1]);
    expect(
      (await made({ "space units": '"um" "um" "um"', "space directions": "(500,0,0) (0,500,0) (0,0,500)" })).spacing,
    ).toEqual([0.5, 0.5, 0.5]);
  });

  it("takes the first place of a fourth axis", async () => {
    const fields = { dimension: "4", sizes: "2 3 4 5", "space directions": "(1,0,0) (0,1,0) (0,0,1) none" };
    const volume = await made({ ...fields, kinds: "domain domain domain list" });
    expect([volume.dims, [...volume.data]]).toEqual([[2, 3, 4], counted.slice(0, 24)]);
  });

  it("reads voxels in a file beside the header, after what is to be passed over", async () => {
    const voxels = Uint8Array.from(counted);
    await put(folder(), "a.raw", Buffer.concat([Buffer.from("a line\nanother\n??"), voxels]));
    const header = madeNrrd({ fields: { "data file": "./a.raw", "line skip": "2", "byte skip": "2" } });
    expect([...(await read(header, "a.nhdr")).data]).toEqual(counted);
    const atEnd = madeNrrd({ fields: { datafile: "a.raw", "data file": undefined, byteskip: "-1" } });
    expect([...(await read(atEnd.subarray(0, -120), "b.nhdr")).data]).toEqual(counted);
    await put(folder(), "c.raw.gz", gzipSync(Buffer.concat([Buffer.from("??"), voxels])));
    const packed = madeNrrd({ fields: { "data file": "c.raw.gz", encoding: "gzip", "byte skip": "2" } });
    expect([...(await read(packed, "c.nhdr")).data]).toEqual(counted);
  });
});

describe("readVolume of NRRD that is no good", () => {
  const cases: readonly [string, MadeNrrd, UnreadableReason][] = [
    ["unknown types", { fields: { type: "block" } }, "unsupported-pixels"],
    ["other encodings", { fields: { encoding: "bzip2" } }, "unsupported-format"],
    ["no sizes", { fields: { sizes: undefined } }, "damaged"],
    ["sizes that do not fit the dimension", { fields: { sizes: "4 5" } }, "damaged"],
    ["a side of zero", { fields: { sizes: "4 0 6" } }, "damaged"],
    ["a side that is no number", { fields: { sizes: "4 x 6" } }, "damaged"],
    ["a dimension without end", { fields: { dimension: "1e9" } }, "damaged"],
    ["no byte order", { fields: { type: "short", endian: undefined } }, "damaged"],
    ["directions that are no vectors", { fields: { "space directions": "(1,0,0) (0,a,0) (0,0,1)" } }, "damaged"],
    ["directions that lie in one plane", { fields: { "space directions": "(1,0,0) (1,0,0) (0,0,1)" } }, "damaged"],
    ["voxels of several values", { fields: { kinds: "vector domain domain" } }, "unsupported-pixels"],
    ["too many voxels", { fields: { sizes: "2000 2000 2000" } }, "too-many-pixels"],
    ["voxels that are cut", { voxels: new Uint8Array(119) }, "truncated"],
    ["packed voxels that are cut", { fields: { encoding: "gzip" }, voxels: new Uint8Array(119) }, "truncated"],
    [
      "fewer numbers than voxels",
      { fields: { encoding: "ascii" }, voxels: Buffer.alloc(300, "123456789 ") },
      "truncated",
    ],
    ["words", { fields: { encoding: "ascii" }, voxels: Buffer.alloc(600, "1 two ") }, "damaged"],
    ["one endless word", { fields: { encoding: "ascii" }, voxels: Buffer.alloc(600, "1") }, "damaged"],
    ["a skip without end", { fields: { "byte skip": "1e12" } }, "damaged"],
    ["a path out of the folder", { fields: { "data file": "../../secret.raw" } }, "unsupported-format"],
    ["an absolute path", { fields: { "data file": "/etc/passwd" } }, "unsupported-format"],
    ["a list of files", { fields: { "data file": "LIST" } }, "unsupported-format"],
    ["a pattern of files", { fields: { "data file": "a%03d.raw 1 9 1" } }, "unsupported-format"],
    ["a file that is not there", { fields: { "data file": "none.raw" } }, "missing"],
  ];

  it.each(cases)("refuses %s", async (_, input, reason) => {
    await expect(read(madeNrrd(input))).rejects.toMatchObject({ name: "ConsiliumError", reason });
  });

  it("refuses a header without end, and none", async () => {
    const endless = Buffer.concat([Buffer.from("NRRD0004\n"), Buffer.alloc(100_000, "a: b\n")]);
    await expect(read(endless)).rejects.toMatchObject({ reason: "damaged" });
    await expect(read(Buffer.from("text"))).rejects.toMatchObject({ reason: "unsupported-format" });
    await expect(read(Buffer.alloc(0))).rejects.toMatchObject({ reason: "empty" });
  });
});
