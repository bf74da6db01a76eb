import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { ConsiliumError } from "../errors.js";
import type { ParameterLayout } from "../params/layout.js";
import { readSafetensorsHeader, type SafetensorsHeader } from "../params/safetensors.js";

/** Fills `target` from `position`. @throws ConsiliumError "input-unreadable" when the file ends before */
export async function readExactly(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await file.read(target, at, target.length - at, position + at);
    if (bytesRead === 0) throw new ConsiliumError("input-unreadable", "a file ended before its last value");
    at += bytesRead;
  }
}

export type TensorPlaces = Pick<ParameterLayout, "parameters" | "dimension">;

/** The file's data must be the layout's flat vector: the same tensors, in its order, without gaps. */
function requireLayout(header: SafetensorsHeader, layout: TensorPlaces, path: string): void {
  const fits = layout.parameters.every(({ name, offset, size }) => {
    const entry = header.tensors.get(name);
    return entry?.dtype === "F32" && entry.start === 4 * offset && entry.end === 4 * (offset + size);
  });
  if (fits && header.tensors.size === layout.parameters.length) return;
  throw new ConsiliumError("input-unsupported", `the checkpoint ${path} does not hold the run's parameters`, {
    remedy: "start the run from a checkpoint of the same model and method",
  });
}

/** Reads a checkpoint's values once, in order, and its digest with them. */
export class CheckpointReader {
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  #position = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @throws ConsiliumError "not-found", "input-unreadable", or "input-unsupported" for another layout */
  static async open(path: string, layout: TensorPlaces): Promise<CheckpointReader> {
    const file = await open(path, "r").catch((cause: unknown) => {
      throw new ConsiliumError("not-found", `cannot open the checkpoint ${path}`, { cause });
    });
    const reader = new CheckpointReader(file);
    try {
      const header = await readSafetensorsHeader(file);
      requireLayout(header, layout, path);
      await reader.#next(new Uint8Array(header.dataOffset));
      return reader;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Fills `values` with the next values. */
  async read(values: Float32Array): Promise<void> {
    await this.#next(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** SHA-256 of what was read, hex: of the file once every value was read. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #next(bytes: Uint8Array): Promise<void> {
    await readExactly(this.#file, bytes, this.#position);
    this.#hash.update(bytes);
    this.#position += bytes.length;
  }
}
