import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { BenchOptions, BenchResult } from "./bench.js";
import { checkShape, type EngineShape } from "./engine-shape.js";
import { StepProcess } from "./step-process.js";
import { figuresOf, median, round, takeTurns } from "./turns.js";

/**
 * What privacy of patients costs a training step on the processor: a step of DP-SGD over `batch` patients of one image each
 * and a plain step over as many images take turns, each in a process of its own. `ratio` is the median over turns of the
 * private step's time over the plain one's.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const shape: EngineShape = {
    ...{ model: options.text("model", "vit-tiny"), step: options.text("method", "mae") },
    ...{ batch: options.number("batch", 16), imageSize: options.number("size", 224) },
    ...{ patchSize: options.number("patch", 16), threads: options.number("threads", 0) },
    ...{ device: "cpu", precision: "float32", microBatches: 0 },
  };
  checkShape(shape);
  const [plain] = await start("engine-process.ts", shape);
  const [priv, ready] = await start("dp-process.ts", shape);
  try {
    const measured = await takeTurns({ ours: plain, peer: priv, turns: options.number("turns", 4) });
    const [own, other] = [figuresOf(measured.ours, shape.batch), figuresOf(measured.peer, shape.batch)];
    return {
      ...{ model: shape.model, method: shape.step, batch: shape.batch, imageSize: shape.imageSize },
      ...{ plainStepMs: own.stepMsMedian, privateStepMs: other.stepMsMedian },
      ratio: round(median(measured.ratios), 3),
      ratioSpread: `${round(Math.min(...measured.ratios), 3)}–${round(Math.max(...measured.ratios), 3)}`,
      plainPeakRssMiB: round(await plain.peakRssMiB()),
      privatePeakRssMiB: round(await priv.peakRssMiB()),
      privateCompileMs: round(Number(ready["compileMs"])),
    };
  } finally {
    plain.stop();
    priv.stop();
  }
}

function start(file: string, shape: EngineShape) {
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const entry = fileURLToPath(new URL(file, import.meta.url));
  return StepProcess.start(process.execPath, ["--import", tsx, entry, JSON.stringify(shape)]);
}
