import { createRequire } from "node:module";
import type { FrameShape } from "./jpeg-header.js";

const require = createRequire(import.meta.url);

/** Decoders of the @cornerstonejs codecs: classes of C++ that Emscripten compiled. */
export interface WasmDecoder {
  /** Room for the compressed bytes, inside the module's memory. */
  getEncodedBuffer(length: number): Uint8Array;
  /** The decoded bytes, inside the module's memory. */
  getDecodedBuffer(): Uint8Array;
  decode(): void;
  getFrameInfo(): WasmFrameInfo;
  /** C++ objects are freed by hand. */
  delete(): void;
}

export interface WasmFrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned: boolean;
}

/** Starts an instance of a codec. The printers replace output on the process's own streams. */
type Factory<M> = (options: { print(text: string): void; printErr(text: string): void }) => Promise<M>;

export interface Decoded extends FrameShape {
  readonly bytes: Uint8Array;
  readonly signed: boolean;
}

/** A codec whose instance is made on first use, and made anew after it failed: its memory may then be in any state. */
export class WasmCodec<M, D extends WasmDecoder> {
  readonly #moduleName: string;
  readonly #create: (module: M) => D;
  #instance: Promise<M> | undefined;

  /** @param moduleName of a CommonJS module that exports the codec's factory */
  constructor(moduleName: string, create: (module: M) => D) {
    this.#moduleName = moduleName;
    this.#create = create;
  }

  /**
   * @param inspect reads more of the decoder before it is freed
   * @throws whatever the codec throws, which may be a number
   */
  async decode<T>(encoded: Uint8Array, inspect: (decoder: D) => T): Promise<Decoded & { readonly extra: T }> {
    this.#instance ??= this.#start();
    const module = await this.#instance;
    try {
      return decodeWith(this.#create(module), encoded, inspect);
    } catch (thrown) {
      this.#instance = undefined;
      throw thrown;
    }
  }

  #start(): Promise<M> {
    const factory = require(this.#moduleName) as Factory<M>;
    return factory({ print: () => {}, printErr: () => {} });
  }
}

function decodeWith<D extends WasmDecoder, T>(decoder: D, encoded: Uint8Array, inspect: (decoder: D) => T) {
  decoder.getEncodedBuffer(encoded.length).set(encoded);
  decoder.decode();
  const { width, height, bitsPerSample, componentCount, isSigned } = decoder.getFrameInfo();
  const result = {
    bytes: new Uint8Array(decoder.getDecodedBuffer()),
    rows: height,
    columns: width,
    components: componentCount,
    precision: bitsPerSample,
    signed: isSigned,
    extra: inspect(decoder),
  };
  decoder.delete();
  return result;
}
