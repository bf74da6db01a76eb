import { DicomProblem } from "./problem.js";

export type Codec = "native" | "rle" | "jpeg" | "jpeg-extended" | "jpeg-lossless" | "jpeg-ls" | "jpeg-2000" | "htj2k";

/** What a transfer syntax says of an object's bytes (PS3.5 section 10 and annex A). */
export interface Encoding {
  readonly uid: string;
  readonly explicit: boolean;
  readonly bigEndian: boolean;
  /** Everything after the file meta information is compressed with deflate. */
  readonly deflated: boolean;
  readonly codec: Codec;
  /** Frames lie in fragments, as all compressed ones do. */
  readonly encapsulated: boolean;
}

type Traits = Partial<Omit<Encoding, "uid">>;

const known: Readonly<Record<string, Traits>> = {
  "1.2.840.10008.1.2": { explicit: false },
  "1.2.840.10008.1.2.1": {},
  "1.2.840.10008.1.2.1.98": { encapsulated: true },
  "1.2.840.10008.1.2.1.99": { deflated: true },
  "1.2.840.10008.1.2.2": { bigEndian: true },
  "1.2.840.10008.1.2.4.50": { codec: "jpeg" },
  "1.2.840.10008.1.2.4.51": { codec: "jpeg-extended" },
  "1.2.840.10008.1.2.4.57": { codec: "jpeg-lossless" },
  "1.2.840.10008.1.2.4.70": { codec: "jpeg-lossless" },
  "1.2.840.10008.1.2.4.80": { codec: "jpeg-ls" },
  "1.2.840.10008.1.2.4.81": { codec: "jpeg-ls" },
  "1.2.840.10008.1.2.4.90": { codec: "jpeg-2000" },
  "1.2.840.10008.1.2.4.91": { codec: "jpeg-2000" },
  "1.2.840.10008.1.2.4.201": { codec: "htj2k" },
  "1.2.840.10008.1.2.4.202": { codec: "htj2k" },
  "1.2.840.10008.1.2.4.203": { codec: "htj2k" },
  "1.2.840.10008.1.2.5": { codec: "rle" },
};

export const implicitLittleEndian = "1.2.840.10008.1.2";
export const explicitLittleEndian = "1.2.840.10008.1.2.1";
export const explicitBigEndian = "1.2.840.10008.1.2.2";

/** @throws DicomProblem "unsupported-format" */
export function encodingOf(uid: string): Encoding {
  const traits = known[uid];
  if (traits === undefined)
    throw new DicomProblem("unsupported-format", `transfer syntax ${shown(uid)} is not supported`);
  const codec = traits.codec ?? "native";
  const plain = { explicit: true, bigEndian: false, deflated: false, encapsulated: codec !== "native" };
  return { uid, ...plain, ...traits, codec };
}

/** The standard's own identifiers tell nothing of a patient; others might. */
function shown(uid: string): string {
  return /^1\.2\.840\.10008(?:\.\d{1,6}){1,8}$/.test(uid) ? uid : "of its own";
}
