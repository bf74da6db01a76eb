import type { RunSummary } from "../round/progress.js";

/** A watched run ended otherwise than completed. It was shown already, so nothing is left to say but the exit code. */
export class RunEnded extends Error {
  override readonly name = "RunEnded";

  constructor(run: RunSummary) {
    super(`run ${run.runId} is ${run.status}`);
  }
}
