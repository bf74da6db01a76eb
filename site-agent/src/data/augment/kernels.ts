import { kernelsBinary } from "./kernels-binary.js";

/**
 * Inner loops in WebAssembly: fixed-width vectors, so that they take a quarter of the time that they take in JavaScript
 * and give the same bits on every processor. `kernels.wat` says what each computes. Places, pitches and steps are bytes
 * in the kernels' own memory, of which each thread has one.
 */
interface Kernels {
  sumRows(rows: number, pitch: number, weights: number, taps: number, line: number, values: number): void;
  writeLine(
    line: number,
    starts: number,
    counts: number,
    weights: number,
    stride: number,
    outputs: number,
    into: number,
    right: number,
  ): void;
  sumPairs(source: number, places: number, weights: number, pairs: number, into: number, values: number): void;
  toBytes(source: number, into: number, values: number): void;
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** As far as it is needed here: Node's types leave it to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Kernels & { readonly memory: Memory } };
};

const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(kernelsBinary, "base64")));
const { memory } = exports;

export const kernels: Kernels = exports;

const pageBytes = 65_536;
/** Kernels read and write a little beyond the end of a part. */
const spareBytes = 64;
const boundary = 16;

/**
 * Places for parts of so many bytes in the kernels' memory. What an earlier call placed is void, and so are views of it:
 * everything between two calls happens in one go.
 */
export function place<Part extends string>(bytes: Readonly<Record<Part, number>>): Readonly<Record<Part, number>> {
  const places: Partial<Record<Part, number>> = {};
  let end = 0;
  for (const part in bytes) {
    places[part] = end;
    end += Math.ceil((bytes[part] + spareBytes) / boundary) * boundary;
  }
  const missing = end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  return places as Record<Part, number>;
}

export function bytesAt(place: number, count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(memory.buffer, place, count);
}

export function integersAt(place: number, count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(memory.buffer, place, count);
}

export function floatsAt(place: number, count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(memory.buffer, place, count);
}
