import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { CompiledModel } from "../compiled-model.js";
import { programOf } from "../testing/agreement.js";
import { openModel } from "./gpu-compile.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "gpu-compile-"));
});
afterEach(() => rm(directory, { recursive: true }));

const program = { ...programOf({}, () => ({})), description: "{}" };

async function opening(content: number, accepts: (model: CompiledModel) => boolean) {
  const compile = (): CompiledModel => ({ bytes: Uint8Array.of(content), outputs: [], peakBytes: 0 });
  const { report, session } = await openModel(
    { directory, program, options: { products: "plain" }, compile },
    async (model) => {
      if (!accepts(model)) throw new Error("refused");
      return model.bytes[0];
    },
  );
  return [report.cache, report.traced, session];
}

it("compiles anew what the runtime no longer takes", async () => {
  expect(await opening(1, () => true)).toEqual(["miss", true, 1]);
  expect(await opening(2, () => true)).toEqual(["hit", false, 1]);
  expect(await opening(2, ({ bytes }) => bytes[0] === 2)).toEqual(["damaged", true, 2]);
  expect(await opening(3, () => true)).toEqual(["miss", true, 3]);
});

it("says what the runtime says of a model that was just compiled", async () => {
  await expect(opening(1, () => false)).rejects.toThrow("refused");
});
