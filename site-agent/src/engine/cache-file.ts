import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { z } from "zod";
import type { CompiledModel } from "./compiled-model.js";

/** One compiled model in one file: a line with format, key and digest; a line with what is no bytes; the ONNX bytes. */
const format = "consilium-program-1";

const factsSchema: z.ZodType<Omit<CompiledModel, "bytes">> = z.strictObject({
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      modelName: z.string(),
      shape: z.array(z.number().int().nonnegative()),
      dtype: z.enum(["float32", "int32", "uint8"]),
    }),
  ),
  peakBytes: z.number().nonnegative(),
  optimized: z.literal(true).exactOptional(),
});

/** Reads a file; throws for one that is damaged, cut off or of another key, and with "ENOENT" where there is none. */
export async function readModelFile(path: string, key: string): Promise<CompiledModel> {
  const file = await readFile(path);
  const [header, body] = splitLine(file);
  if (header !== headerOf(key, body)) throw new Error("another key or digest");
  const [facts, bytes] = splitLine(body);
  const model = { ...factsSchema.parse(JSON.parse(facts)), bytes };
  // The file's age is the time since its last use.
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
  return model;
}

/** Readers see nothing or the whole file, also while several processes write it. */
export async function writeModelFile(path: string, key: string, { bytes, ...facts }: CompiledModel): Promise<void> {
  const body = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), bytes]);
  const temporaryPath = temporaryPathFor(path);
  try {
    await writeFile(temporaryPath, [`${headerOf(key, body)}\n`, body], { flag: "wx", mode: 0o600 });
    await rename(temporaryPath, path);
  } catch (cause) {
    await rm(temporaryPath, { force: true });
    throw cause;
  }
}

export const temporarySuffix = ".tmp";

export function temporaryPathFor(path: string): string {
  return `${path}.${randomUUID()}${temporarySuffix}`;
}

function headerOf(key: string, body: Uint8Array): string {
  return `${format} ${key} ${createHash("sha256").update(body).digest("hex")}`;
}

function splitLine(buffer: Buffer): [line: string, rest: Buffer] {
  const end = buffer.indexOf("\n");
  if (end === -1) throw new Error("cut off");
  return [buffer.toString("utf8", 0, end), buffer.subarray(end + 1)];
}
