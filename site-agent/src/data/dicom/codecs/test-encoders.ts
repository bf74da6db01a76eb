import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** What the encoders of the codecs take; for tests, which need images in encodings of their own making. */
export interface EncodedShape {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned: boolean;
  readonly isUsingColorTransform?: boolean;
}

interface Encoder {
  getDecodedBuffer(shape: EncodedShape): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  encode(): void;
  setInterleaveMode?(mode: number): void;
  setNearLossless?(most: number): void;
  setDecompositions?(count: number): void;
}

type EncoderClass = new () => Encoder;
type Factory = (options: object) => Promise<Readonly<Record<string, EncoderClass>>>;

const encoders = {
  "jpeg-ls": ["@cornerstonejs/codec-charls/wasmjs", "JpegLSEncoder"],
  "jpeg-2000": ["@cornerstonejs/codec-openjpeg/wasmjs", "J2KEncoder"],
  htj2k: ["@cornerstonejs/codec-openjph/wasmjs", "HTJ2KEncoder"],
} as const;

export async function encode(
  codec: keyof typeof encoders,
  pixels: Uint8Array | Uint16Array | Int16Array,
  shape: EncodedShape,
  prepare: (encoder: Encoder) => void = () => {},
): Promise<Uint8Array> {
  const [moduleName, className] = encoders[codec];
  const module = await (require(moduleName) as Factory)({ print: () => {}, printErr: () => {} });
  const encoder = new module[className]!();
  // The small images of tests bear no more.
  encoder.setDecompositions?.(2);
  prepare(encoder);
  encoder
    .getDecodedBuffer({ isUsingColorTransform: false, ...shape })
    .set(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
  encoder.encode();
  return Uint8Array.from(encoder.getEncodedBuffer());
}
