import { systemEntropy } from "@consilium/shared/entropy.js";
import { AbortedError, asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { lastWords } from "@consilium/shared/last-words.js";
import { ViewPool } from "../data/view-pool.js";
import { openEngine } from "../engine/devices/open-engine.js";
import { type CheckedJob, type FromTrainer, failureCode, type TrainProgress, toTrainerSchema } from "./protocol.js";
import { RoundTrainer } from "./train-round.js";

/** Entry of the trainer process. It trains what its parent asks, one round at a time, and ends with its parent. */

const trainer = new RoundTrainer({
  openEngine: (request) => openEngine(request),
  openViewMaker: (options) => new ViewPool(options),
  now: () => performance.now(),
  entropy: systemEntropy,
  onPrepared: (prepared) => send({ type: "prepared", prepared }),
});
let current: AbortController | undefined;

// What was not foreseen ends the process at once: what is durable is whole at any moment, and what runs on may not be.
for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(kind, (thrown: unknown) => {
    lastWords("trainer", kind, thrown);
    process.exit(1);
  });
}

// The parent is gone: nobody wants the result. Files are replaced atomically, so ending here loses at most some steps.
process.on("disconnect", () => process.exit(0));
process.on("message", (message) => void receive(message));

async function receive(message: unknown): Promise<void> {
  const parsed = toTrainerSchema.safeParse(message);
  if (!parsed.success)
    return sendFailure(new ConsiliumError("config-invalid", `training job: ${parsed.error.message}`));
  if (parsed.data.type === "abort") current?.abort();
  else if (current !== undefined) sendFailure(new ConsiliumError("internal", "the trainer is already at work"));
  else await train(parsed.data.job);
}

async function train(job: CheckedJob): Promise<void> {
  const stop = new AbortController();
  current = stop;
  try {
    const onProgress = (progress: TrainProgress) => send({ type: "progress", progress });
    const trained = await trainer.train(job, { onProgress, signal: stop.signal });
    send({ type: "done", trained });
  } catch (thrown) {
    if (thrown instanceof AbortedError) send({ type: "aborted" });
    else sendFailure(thrown);
  } finally {
    current = undefined;
  }
}

function sendFailure(thrown: unknown): void {
  const { code, message, remedy } = asConsiliumError(thrown);
  const known = failureCode.safeParse(code);
  const failure = { code: known.success ? known.data : ("internal" as const), message };
  send({ type: "failed", ...failure, ...(remedy === undefined ? {} : { remedy }) });
}

function send(message: FromTrainer): void {
  // A parent that has just ended cannot be told; "disconnect" follows.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
