import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { type Clock, systemClock } from "../clock.js";
import { ConsiliumError } from "../errors.js";
import { ownerOf } from "./caller.js";
import type { CallHooks } from "./serve-call.js";
import { toStatus } from "./status.js";

/** How often one site or person may call, over all of its connections. A call costs 1 unless its service says more. */
export interface CallLimits {
  readonly callCostPerSecond: number;
  /** What may be spent at once by who was quiet before. */
  readonly callCostAtOnce: number;
}

interface Account {
  left: number;
  atMs: number;
  notedAtMs: number;
}

/** Accounts above this are looked through for those that are full again. */
const manyAccounts = 4096;
/** A flood must not become one of log lines. */
const noteEveryMs = 60_000;

/** A token bucket for each caller. */
export class CallBudget {
  readonly #limits: CallLimits;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();

  constructor(limits: CallLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Whether the call may be served; it is paid for then. A call that costs more than may be spent at once never is. */
  take(owner: string, cost: number): boolean {
    const account = this.#accountOf(owner);
    if (account.left < cost) return false;
    account.left -= cost;
    return true;
  }

  /** Whether a refusal is worth a line in the log. */
  notes(owner: string): boolean {
    const account = this.#accountOf(owner);
    if (account.atMs - account.notedAtMs < noteEveryMs) return false;
    account.notedAtMs = account.atMs;
    return true;
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  #accountOf(owner: string): Account {
    const nowMs = this.#clock.now();
    const known = this.#accounts.get(owner);
    if (known !== undefined) {
      known.left = this.#leftOf(known, nowMs);
      known.atMs = nowMs;
      return known;
    }
    if (this.#accounts.size >= manyAccounts) this.#forgetFull(nowMs);
    const fresh = { left: this.#limits.callCostAtOnce, atMs: nowMs, notedAtMs: Number.NEGATIVE_INFINITY };
    this.#accounts.set(owner, fresh);
    return fresh;
  }

  /** A clock that is set back gives nothing and takes nothing. */
  #leftOf({ left, atMs }: Account, nowMs: number): number {
    const { callCostPerSecond, callCostAtOnce } = this.#limits;
    return Math.min(callCostAtOnce, left + (Math.max(0, nowMs - atMs) / 1000) * callCostPerSecond);
  }

  #forgetFull(nowMs: number): void {
    for (const [owner, account] of this.#accounts) {
      if (this.#leftOf(account, nowMs) >= this.#limits.callCostAtOnce) this.#accounts.delete(owner);
    }
  }
}

/**
 * Refuses the calls of who has spent its budget before anything is done for them.
 * @param costs by full method path; 1 for a path that is not there
 */
export function budgetInterceptor(
  limits: CallLimits,
  costs: ReadonlyMap<string, number>,
  hooks: CallHooks,
): ServerInterceptor {
  const budget = new CallBudget(limits, hooks.clock ?? systemClock);
  return ({ path }, call) => {
    const owner = ownerOf(call);
    if (!budget.take(owner, costs.get(path) ?? 1)) {
      hooks.onRejected?.(path, "overloaded");
      if (budget.notes(owner)) hooks.log.warn("rpc.too-many-calls", { caller: owner, method: path });
      call.sendStatus(
        toStatus(new ConsiliumError("overloaded", `${owner} calls more often than the server serves it.`)),
      );
    }
    return new ServerInterceptingCall(call);
  };
}
