// Types of the libraries that have none, as far as they are used.

declare module "jpeg-lossless-decoder-js" {
  export class Decoder {
    readonly stream: { readonly index: number; readonly buffer: Uint8Array } | null;
    readonly yLoc: number;
    decode(buffer: ArrayBuffer, offset: number, length: number): Uint8Array | Uint16Array | null;
  }
}

declare module "daikon/lib/jpeg-baseline.js" {
  interface JpegImage {
    parse(bytes: Uint8Array): void;
    getData16(width: number, height: number): Uint16Array;
  }
  const lib: { readonly JpegImage: new () => JpegImage };
  export = lib;
}
