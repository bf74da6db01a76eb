import { gzipSync } from "node:zlib";

/** Files made for tests: voxels 0, 1, 2 … or given ones, under any header. */

export interface MadeNifti {
  readonly dims?: readonly number[];
  /** Code and bits of nifti1.h. */
  readonly datatype?: readonly [code: number, bits: number];
  readonly voxels?: Uint8Array;
  readonly pixdim?: readonly number[];
  readonly littleEndian?: boolean;
  readonly slope?: number;
  readonly intercept?: number;
  readonly window?: readonly [low: number, high: number];
  readonly intent?: number;
  readonly units?: number;
  readonly qform?: { readonly quaternion: readonly number[]; readonly offset: readonly number[] };
  /** Rows of the matrix, one after another. */
  readonly sform?: readonly number[];
  readonly sformCode?: number;
  readonly qformCode?: number;
  readonly offset?: number;
}

/** NIfTI-1 in one file. */
export function madeNifti(made: MadeNifti = {}): Buffer {
  const { dims = [4, 5, 6], datatype = [2, 8], littleEndian: little = true, offset = 352 } = made;
  const count = dims.reduce((product, side) => product * side, 1);
  const voxels = made.voxels ?? Uint8Array.from({ length: count }, (_, index) => index);
  const header = new DataView(new ArrayBuffer(offset));
  header.setInt32(0, 348, little);
  header.setInt16(40, dims.length, little);
  for (let axis = 1; axis < 8; axis++) header.setInt16(40 + 2 * axis, dims[axis - 1] ?? 1, little);
  header.setInt16(68, made.intent ?? 0, little);
  header.setInt16(70, datatype[0], little);
  header.setInt16(72, datatype[1], little);
  for (const [index, value] of (made.pixdim ?? [1, 1, 1, 1]).entries())
    header.setFloat32(76 + 4 * index, value, little);
  header.setFloat32(108, offset, little);
  header.setFloat32(112, made.slope ?? 0, little);
  header.setFloat32(116, made.intercept ?? 0, little);
  header.setUint8(123, made.units ?? 2);
  header.setFloat32(124, made.window?.[1] ?? 0, little);
  header.setFloat32(128, made.window?.[0] ?? 0, little);
  header.setInt16(252, made.qformCode ?? (made.qform === undefined ? 0 : 1), little);
  header.setInt16(254, made.sformCode ?? (made.sform === undefined ? 0 : 1), little);
  const parts = [...(made.qform?.quaternion ?? [0, 0, 0]), ...(made.qform?.offset ?? [0, 0, 0]), ...(made.sform ?? [])];
  for (const [index, value] of parts.entries()) header.setFloat32(256 + 4 * index, value, little);
  const bytes = Buffer.from(header.buffer);
  bytes.write("n+1\0", 344, "latin1");
  return Buffer.concat([bytes, voxels]);
}

/** NIfTI-2 in one file: dims 4×5×6, 8 bits, moved by (7, 8, 9) mm. */
export function madeNifti2(): Buffer {
  const header = new DataView(new ArrayBuffer(544));
  header.setInt32(0, 540, true);
  header.setInt16(12, 2, true);
  header.setInt16(14, 8, true);
  for (const [axis, side] of [3, 4, 5, 6, 1, 1, 1, 1].entries()) header.setBigInt64(16 + 8 * axis, BigInt(side), true);
  for (let axis = 0; axis < 4; axis++) header.setFloat64(104 + 8 * axis, 1, true);
  header.setBigInt64(168, 544n, true);
  header.setInt32(348, 1, true);
  for (const [index, value] of [1, 0, 0, 7, 0, 1, 0, 8, 0, 0, 1, 9].entries()) {
    header.setFloat64(400 + 8 * index, value, true);
  }
  header.setInt32(500, 2, true);
  const bytes = Buffer.from(header.buffer);
  bytes.write("n+2\0\r\n\u001a\n", 4, "latin1");
  return Buffer.concat([bytes, Uint8Array.from({ length: 120 }, (_, index) => index)]);
}

export interface MadeNrrd {
  /** Replace or add to the fields; undefined leaves one out. */
  readonly fields?: Readonly<Record<string, string | undefined>>;
  readonly voxels?: Uint8Array;
}

/** NRRD with a header in front of the voxels, or only the header when it names a data file. */
export function madeNrrd({ fields = {}, voxels }: MadeNrrd = {}): Buffer {
  const all: Record<string, string | undefined> = {
    type: "uint8",
    dimension: "3",
    space: "left-posterior-superior",
    sizes: "4 5 6",
    "space directions": "(1,0,0) (0,1,0) (0,0,1)",
    "space origin": "(0,0,0)",
    endian: "little",
    encoding: "raw",
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  const header = Buffer.from(["NRRD0004", "# made for a test", ...lines, "key:=value", "", ""].join("\n"), "latin1");
  if (all["data file"] !== undefined) return header;
  const plain = voxels ?? Uint8Array.from({ length: 120 }, (_, index) => index);
  return Buffer.concat([header, all["encoding"] === "gzip" ? gzipSync(plain) : plain]);
}

/** A ball of growing brightness in the dark, larger across than deep, as 16-bit voxels. */
export function ball(width: number, height: number, depth: number): Uint8Array {
  const voxels = new Int16Array(width * height * depth);
  for (let i = 0; i < voxels.length; i++) {
    const x = (i % width) / (width - 1) - 0.5;
    const y = (Math.floor(i / width) % height) / (height - 1) - 0.5;
    const z = Math.floor(i / (width * height)) / (depth - 1) - 0.5;
    voxels[i] = Math.hypot(x, y, z) < 0.45 ? Math.round(1000 * (1 + x + y / 2)) + (i % 97) : 0;
  }
  return new Uint8Array(voxels.buffer);
}
