import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { BenchOptions, BenchResult } from "./bench.js";
import { checkShape, type EngineShape, peerShape } from "./engine-shape.js";
import { pythonWithTorch } from "./peer-python.js";
import { StepProcess } from "./step-process.js";
import { figuresOf, median, round, takeTurns } from "./turns.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function shapeOf(options: BenchOptions): EngineShape {
  const method = options.text("method", "mae");
  const shape = {
    model: options.text("model", "vit-tiny"),
    step: options.flag("full-tokens") ? "dense" : method,
    batch: options.number("batch", 16),
    imageSize: options.number("size", 224),
    patchSize: options.number("patch", 16),
    threads: options.number("threads", 0),
    device: options.text("device", "cpu"),
    precision: options.text("precision", "auto"),
    microBatches: options.number("micro-batches", 0),
  };
  checkShape(shape);
  return shape;
}

/**
 * Training steps (forward, backward, AdamW) on a fixed batch: images per second, median step, time to compile, peak
 * resident memory of the process. With --against pytorch the same step in PyTorch takes turns with ours; `ratio` is the
 * median over turns of our images per second divided by theirs.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const shape = shapeOf(options);
  const turns = options.number("turns", 6);
  const against = options.text("against", "");
  if (against !== "" && against !== "pytorch") throw new Error(`--against ${against}: only pytorch is known`);
  const python = against === "" ? undefined : pythonWithTorch(process.env);
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const [ours, ready] = await StepProcess.start(process.execPath, [
    "--import",
    tsx,
    here("engine-process.ts"),
    JSON.stringify(shape),
  ]);
  let peer: Peer | undefined;
  try {
    peer = python === undefined ? undefined : await startPeer(python, shape);
    const measured = await takeTurns({ ours, peer: peer?.process, turns });
    const { model, step, batch, imageSize } = shape;
    const figures = {
      ...{ model, step, batch, imageSize, device: String(ready["device"]), precision: String(ready["precision"]) },
      ...figuresOf(measured.ours, batch),
      peakRssMiB: round(await ours.peakRssMiB()),
      compileMs: round(Number(ready["compileMs"])),
    };
    if (peer === undefined) return figures;
    return {
      ...figures,
      ...prefixed("pytorch", {
        ...figuresOf(measured.peer, batch),
        peakRssMiB: round(await peer.process.peakRssMiB()),
      }),
      pytorch: peer.version,
      ratio: round(median(measured.ratios), 3),
      ratioSpread: `${round(Math.min(...measured.ratios), 3)}–${round(Math.max(...measured.ratios), 3)}`,
    };
  } finally {
    ours.stop();
    peer?.process.stop();
  }
}

interface Peer {
  readonly process: StepProcess;
  readonly version: string;
}

async function startPeer(python: string, shape: EngineShape): Promise<Peer> {
  const [peer, ready] = await StepProcess.start(python, [
    here("peers/pytorch_step.py"),
    JSON.stringify(peerShape(shape)),
  ]);
  return { process: peer, version: `${String(ready["torch"])}, ${String(ready["threads"])} threads` };
}

function prefixed(prefix: string, figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [`${prefix}${name[0]!.toUpperCase()}${name.slice(1)}`, value]),
  );
}
