import type { RoundPlan } from "@consilium/shared/protocol.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type { CoordinatorClient, StageMessage, StageOutcome } from "./coordinator.js";
import { type Patience, persistently } from "./patience.js";

/** Time after a stage's window in which a coordinator that restarts may still answer. */
const restartAllowanceMs = 60_000;

/** One attempt's calls to the coordinator, each made again for as long as it may take a coordinator to come back. */
export class StageCalls {
  readonly #plan: Pick<RoundPlan, "key" | "stageWindowMs">;
  readonly #around: { readonly coordinator: CoordinatorClient; readonly patience: Patience };
  readonly #signal: AbortSignal;

  constructor(
    plan: Pick<RoundPlan, "key" | "stageWindowMs">,
    around: { readonly coordinator: CoordinatorClient; readonly patience: Patience },
    signal: AbortSignal,
  ) {
    this.#plan = plan;
    this.#around = around;
    this.#signal = signal;
  }

  exchange(message: StageMessage, windowMs = this.#plan.stageWindowMs): Promise<StageOutcome> {
    return this.persistently(windowMs, () => this.#around.coordinator.exchange(message, this.#call(windowMs)));
  }

  upload(masked: MaskedUpload): Promise<StageOutcome> {
    const { stageWindowMs } = this.#plan;
    return this.persistently(stageWindowMs, () => this.#around.coordinator.upload(masked, this.#call(stageWindowMs)));
  }

  /** A coordinator that comes back reopens the stage for a whole window, so a site waits for several. */
  persistently<T>(windowMs: number, call: () => Promise<T>): Promise<T> {
    const limits = { patienceMs: 3 * windowMs + restartAllowanceMs, signal: this.#signal };
    return persistently(call, limits, this.#around.patience);
  }

  #call(windowMs: number) {
    return { key: this.#plan.key, timeoutMs: 2 * windowMs + restartAllowanceMs, signal: this.#signal };
  }
}
