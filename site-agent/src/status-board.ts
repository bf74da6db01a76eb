import type { Clock } from "@consilium/shared/clock.js";
import type { CertificateState } from "./certificate-renewal.js";
import type { ParticipantState } from "./round/state.js";
import type { AgentStatus } from "./status-file.js";
import type { Prepared, TrainProgress } from "./trainer/protocol.js";

export type AgentFacts = Pick<AgentStatus, "pid" | "agentVersion" | "federation" | "siteId" | "coordinator">;

/** Progress is written at most this often; everything else at once. */
const progressEveryMs = 1000;

/** Gathers what the agent does into one status, and hands out each change. */
export class StatusBoard {
  readonly #clock: Clock;
  readonly #publish: (status: AgentStatus) => void;
  #status: AgentStatus;
  #publishedAtMs = 0;

  constructor(facts: AgentFacts, { clock, publish }: { clock: Clock; publish: (status: AgentStatus) => void }) {
    this.#clock = clock;
    this.#publish = publish;
    const nowMs = clock.now();
    this.#status = {
      version: 1,
      ...facts,
      startedAtMs: nowMs,
      updatedAtMs: nowMs,
      connected: false,
      state: "idle",
      roundsDone: 0,
    };
  }

  get status(): AgentStatus {
    return this.#status;
  }

  metricsAt(address: string): void {
    this.#change({ metrics: address });
  }

  connection(connected: boolean, unreachable: string | undefined): void {
    const { unreachable: _old, ...rest } = this.#status;
    this.#status = rest;
    this.#change({ connected, ...(connected || unreachable === undefined ? {} : { unreachable }) });
  }

  certificate({ notAfterMs, failing }: CertificateState): void {
    this.#change({ certificate: { notAfterMs, ...(failing === undefined ? {} : { failing }) } });
  }

  state(state: ParticipantState): void {
    const { runId, round, attempt, because: _because, stepsDone: _stepsDone, steps: _steps, ...rest } = this.#status;
    const { roundsDone } = this.#status;
    if (state.kind === "idle") return;
    const sameRound = runId === state.key.runId && round === state.key.round && attempt === state.key.attempt;
    if (sameRound && this.#status.state === state.kind) return;
    this.#status = { ...rest, state: state.kind, ...state.key };
    this.#change({ ...becauseOf(state), roundsDone: roundsDone + (state.kind === "done" ? 1 : 0) });
  }

  prepared({ device, precision, reason, cache, compileMs }: Prepared): void {
    this.#change({ engine: { device, precision, reason, cache, compileMs } });
  }

  progress({ step, steps, loss, imagesPerSecond }: TrainProgress): void {
    this.#status = {
      ...this.#status,
      stepsDone: step,
      steps,
      ...(loss === undefined ? {} : { loss }),
      ...(imagesPerSecond === undefined ? {} : { imagesPerSecond }),
    };
    if (this.#clock.now() - this.#publishedAtMs >= progressEveryMs) this.#change({});
  }

  stopped(): void {
    this.#change({ state: "stopped", connected: false });
  }

  #change(changes: Partial<AgentStatus>): void {
    this.#publishedAtMs = this.#clock.now();
    this.#status = { ...this.#status, ...changes, updatedAtMs: this.#publishedAtMs };
    this.#publish(this.#status);
  }
}

function becauseOf(state: ParticipantState): Pick<AgentStatus, "because"> {
  switch (state.kind) {
    case "refused":
      return { because: state.clause };
    case "failed":
      return { because: state.code };
    case "left":
      return { because: state.cause };
    default:
      return {};
  }
}
