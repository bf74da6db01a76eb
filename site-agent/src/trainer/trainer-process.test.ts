import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogFields, type Logger, silentLogger } from "@consilium/shared/log.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Prepared, TrainJob } from "./protocol.js";
import { TrainerProcess } from "./trainer-process.js";

/** The processes here speak the protocol without training; the round itself is tested beside `train-round.ts`. */

let folder: string;
let trainer: TrainerProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trainer-process-"));
});
afterEach(async () => {
  await trainer?.stop();
  await rm(folder, { recursive: true });
});

const trained = {
  deltaPath: "/d",
  deltaDigest: "0".repeat(64),
  sampleCount: 3,
  meanLoss: 1.5,
  figures: { dino: 2 },
  steps: 4,
  imagesPerSecond: 10,
  skipped: { damaged: 1 },
};

const prepared: Prepared = {
  ...{ runId: "well", device: "cpu", precision: "float32", reason: "asked for", cache: "miss" },
  ...{ compileMs: 1234.5, notKept: "ENOSPC" },
};

function job(runId: string): TrainJob {
  return {
    runId,
    round: 0,
    config: {
      name: "run",
      modality: "dermatology",
      model: { architecture: "vit-nano" },
      method: { name: "simclr" },
      optimizer: { learningRate: 0.001 },
      rounds: 1,
    },
    checkpointPath: "/c",
    firstStep: 0,
    stateDirectory: "/s",
    data: { path: "/i" },
    siteId: "site-a",
    drawSeed: 1,
  };
}

/** A process that answers a job by its run's id, and any abort unless it is told to ignore it. */
const obedient = `
const trained = ${JSON.stringify(trained)};
const prepared = ${JSON.stringify(prepared)};
const progress = { phase: "training", step: 1, steps: 4, loss: 2 };
process.on("disconnect", () => process.exit(0));
process.on("message", ({ type, job }) => {
  if (type === "abort") return process.send({ type: "aborted" });
  if (job.runId === "well") process.send({ type: "prepared", prepared });
  process.send({ type: "progress", progress });
  if (job.runId === "well") process.send({ type: "done", trained });
  if (job.runId === "badly") process.send({ type: "failed", code: "not-finite", message: "infinite", remedy: "less" });
  if (job.runId === "nonsense") process.send({ type: "done", trained: { steps: "many" } });
  if (job.runId === "exit") process.exit(3);
  if (job.runId === "deaf") process.removeAllListeners("message").on("message", () => {});
});
`;

async function start(script = obedient, stopWithinMs = 5000): Promise<TrainerProcess> {
  const entryPath = join(folder, "entry.mjs");
  await writeFile(entryPath, script);
  trainer = new TrainerProcess({ entryPath, stopWithinMs, log, onPrepared: (said) => heard.push(said) });
  return trainer;
}

const heard: Prepared[] = [];
const logged: string[] = [];
const write = (event: string, fields: LogFields = {}): void => void logged.push(`${event} ${JSON.stringify(fields)}`);
const log: Logger = { ...silentLogger, info: write, warn: write };

/** Resolves with the promise's outcome once the trainer has reported its first progress. */
async function afterProgress(run: TrainerProcess, id: string, act: (stop: AbortController) => void): Promise<unknown> {
  const stop = new AbortController();
  const onProgress = (): void => act(stop);
  return run.trainRound(job(id), { onProgress, signal: stop.signal }).catch((thrown: unknown) => thrown);
}

describe("TrainerProcess", () => {
  it("passes progress and the result on and keeps the process for the next job", async () => {
    const process = await start();
    const steps: number[] = [];
    const result = await process.trainRound(job("well"), { onProgress: ({ step }) => steps.push(step) });
    expect(result).toEqual(trained);
    expect(steps).toEqual([1]);
    const { pid } = process;
    await process.trainRound(job("well"));
    expect(process.pid).toBe(pid);
  });

  it("hands on and logs what a run is trained on", async () => {
    const process = await start();
    [heard.length, logged.length] = [0, 0];
    await process.trainRound(job("well"));
    expect(heard).toEqual([prepared]);
    expect(logged).toContain(
      'engine-ready {"runId":"well","device":"cpu","precision":"float32","reason":"asked for","cache":"miss","compileMs":1235}',
    );
    expect(logged).toContain('program-not-kept {"reason":"ENOSPC"}');
  });

  it("gives the trainer's own errors with code and remedy", async () => {
    const failing = (await start()).trainRound(job("badly"));
    await expect(failing).rejects.toMatchObject({ code: "not-finite", message: "infinite", remedy: "less" });
  });

  it("survives the loss of the process and starts another", async () => {
    const run = await start();
    const killed = await afterProgress(run, "hang", () => process.kill(run.pid!, "SIGKILL"));
    expect(killed).toMatchObject({ code: "training-failed", message: expect.stringContaining("SIGKILL") });
    await expect(run.trainRound(job("exit"))).rejects.toMatchObject({
      code: "training-failed",
      message: expect.stringContaining("exit code 3"),
    });
    expect(await run.trainRound(job("well"))).toEqual(trained);
  });

  it("does not believe a message that breaks the protocol", async () => {
    const run = await start();
    await expect(run.trainRound(job("nonsense"))).rejects.toMatchObject({ code: "training-failed" });
    expect(await run.trainRound(job("well"))).toEqual(trained);
  });

  it("reports a program that cannot start", async () => {
    await expect(
      (await start("process.exitCode = 9; process.disconnect();")).trainRound(job("well")),
    ).rejects.toMatchObject({
      code: "training-failed",
    });
  });

  it("interrupts a job and keeps a process that obeys", async () => {
    const run = await start();
    const outcome = await afterProgress(run, "hang", (stop) => stop.abort());
    expect(outcome).toMatchObject({ name: "AbortedError" });
    expect(run.pid).toBeDefined();
    expect(await run.trainRound(job("well"))).toEqual(trained);
  });

  it("kills a process that does not stop when told", async () => {
    const run = await start(obedient, 50);
    const outcome = await afterProgress(run, "deaf", (stop) => stop.abort());
    expect(outcome).toMatchObject({ name: "AbortedError" });
    expect(await run.trainRound(job("well"))).toEqual(trained);
  });

  it("takes one job at a time, none when already aborted, and stops in the middle of one", async () => {
    const run = await start();
    await expect(run.trainRound(job("well"), { signal: AbortSignal.abort() })).rejects.toThrow("aborted");
    const hanging = afterProgress(run, "hang", () => {
      void run.trainRound(job("well")).catch(() => {});
      void run.stop();
    });
    await expect(run.trainRound(job("well"))).rejects.toMatchObject({ code: "internal" });
    expect(await hanging).toMatchObject({ name: "AbortedError" });
    await run.stop();
    expect(run.pid).toBeUndefined();
  });
});
