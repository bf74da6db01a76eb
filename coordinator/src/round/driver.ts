import type { Clock } from "@consilium/shared/clock.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { AbortedError, unreachable } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { FinishedRound, FinishJob } from "../aggregate/finish-round.js";
import { failpoint } from "../failpoint.js";
import type { Membership } from "../sites/membership.js";
import type { SiteRegistry } from "../sites/registry.js";
import type { AttemptRow, RunRow, StageMessage, StageName, UploadRow } from "../store/run-store.js";
import type { UploadSpool } from "../store/upload-spool.js";
import { eventOfSum } from "./aggregation.js";
import {
  type AttemptFacts,
  attemptRow,
  beginSelecting,
  factsAfter,
  freshFacts,
  signPlan,
  storedState,
} from "./attempt.js";
import type { Outcome } from "./outcomes.js";
import type { RoundObserver, SignedPlan, SignedResult, SiteTransport } from "./ports.js";
import { budgetObjection, releaseOf } from "./privacy-ledger.js";
import { committedFacts } from "./progress.js";
import { resultBefore, signResult } from "./results.js";
import { forgetMessages, type Kept, pruneAfter } from "./retention.js";
import type { RuleTimes } from "./rules.js";
import { parseStoredConfig } from "./run-file.js";
import { messageOf } from "./stage.js";
import { type Committed, type Effect, isOut, isOver, type RoundEvent, type RoundState } from "./state.js";
import { stepOf } from "./step.js";
import { transition } from "./transition.js";
import { Waiters } from "./waiters.js";

export interface DriverOptions extends Kept {
  readonly federation: string;
  readonly spool: UploadSpool;
  readonly registry: SiteRegistry;
  readonly membership: Membership;
  readonly transport: SiteTransport;
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly finish: (job: FinishJob, signal: AbortSignal) => Promise<FinishedRound>;
  readonly observer: RoundObserver;
  readonly clock: Clock;
  readonly times: RuleTimes;
  /** Ends the process, which continues from the disk when it is started again. Called before the error is thrown on. */
  readonly halt: (thrown: unknown) => void;
}

/** What the queue of runs hears from the driver of the one that is active. */
export interface DriverListener {
  /** Something that researchers see has changed. */
  changed(): void;
  /** The run is completed, paused or stopped. */
  ended(): void;
}

interface Attempt {
  readonly state: RoundState;
  readonly plan: SignedPlan;
  readonly parentDigest: string;
}

/** What a site sent with its event; stored in the same transaction as the state that took it. */
export interface Delivery {
  readonly message?: StageMessage;
  readonly upload?: UploadRow;
}

/**
 * Takes one run from attempt to attempt until it ends. Every change goes through `transition`; the new state is durable
 * before anything is done about it, so a process that dies anywhere continues from the last thing it wrote.
 */
export class RunDriver {
  readonly run: RunRow;
  readonly config: RunConfig;
  readonly #options: DriverOptions;
  readonly #listener: DriverListener;
  readonly #layout: ParameterLayout;
  readonly #waiters = new Waiters();
  readonly #closed = new AbortController();
  #attempt: Attempt | undefined;
  #cancelTimer: () => void = () => {};

  constructor(run: RunRow, options: DriverOptions, listener: DriverListener) {
    this.run = run;
    this.config = parseStoredConfig(run.runId, run.configJson);
    this.#options = options;
    this.#listener = listener;
    this.#layout = checkpointLayout(this.config);
  }

  /** The current attempt's state; undefined before the first. */
  get state(): RoundState | undefined {
    return this.#attempt?.state;
  }

  /** Goes on where the run stands. `recovered` says that an earlier process was at it. */
  start({ recovered }: { recovered: boolean }): void {
    const row = this.#options.store.newestAttempt(this.run.runId);
    if (row === undefined) this.#beginFirst();
    else this.#continue(row, recovered);
  }

  #continue(row: AttemptRow, recovered: boolean): void {
    const state = storedState(row);
    this.#attempt = {
      state,
      plan: { body: row.planBody, signature: row.planSignature },
      parentDigest: row.parentDigest,
    };
    if (state.kind === "committed") {
      // The alarm waits for rounds that come after a person has resumed the run.
      this.#afterCommit(recovered ? state : { ...state, watched: [] });
    } else if (state.kind !== "aborted") {
      this.apply({ kind: "recovered" });
    } else if (recovered && state.next.kind === "retry") {
      forgetMessages(this.#options, state.key);
      this.#beginNext(state, state.next.notBeforeMs);
    } else {
      forgetMessages(this.#options, state.key);
      // A person resumed the run: earlier failures, refusals and figures no longer count.
      this.#beginNext({ ...state, failures: 0, excluded: {}, conduct: {}, watched: [] }, 0);
    }
  }

  /** Moves the attempt on. @throws when the store fails, in which case nothing has changed. */
  apply(event: RoundEvent, delivery: Delivery = {}): void {
    const attempt = this.#attempt;
    if (attempt === undefined || this.#closed.signal.aborted) return;
    const { clock, store } = this.#options;
    const { state, effects } = transition(attempt.state, event, clock.now());
    if (state !== attempt.state) {
      const stage = delivery.message?.stage ?? (delivery.upload === undefined ? undefined : "upload");
      if (stage !== undefined) failpoint(`${stage}/before-persist`);
      if (state.kind === "committed") failpoint("commit/before");
      const isLast = state.key.round >= this.config.rounds;
      const release = releaseOf(this.#privacyFacts, { before: attempt.state, after: state });
      const facts = { ...delivery, ...this.#signedResult(state, attempt), release, isLast, nowMs: clock.now() };
      store.advance(stepOf(state, { ...facts, parentDigest: attempt.parentDigest }));
      if (stage !== undefined) failpoint(`${stage}/after-persist`);
      if (state.kind === "committed") failpoint("commit/after");
      this.#attempt = { ...attempt, state };
    }
    this.#performAll(effects);
    if (state !== attempt.state) this.#listener.changed();
  }

  #signedResult(state: RoundState, { plan }: Attempt): { readonly result?: SignedResult } {
    if (state.kind !== "committed") return {};
    const { serverOptimizer } = this.config.aggregation;
    return { result: signResult(this.#options, state, { plan, serverOptimizer }) };
  }

  /** An effect fails only when the store does. The state on disk is then ahead of what was done about it. */
  #performAll(effects: readonly Effect[]): void {
    try {
      for (const effect of effects) this.#perform(effect);
    } catch (thrown) {
      this.#options.halt(thrown);
      throw thrown;
    }
  }

  /** Waits until the stage has an outcome for the site. */
  outcome(siteId: string, stage: StageName, signal: AbortSignal): Promise<Outcome> {
    return this.#waiters.wait(this.#attempt!.state, { siteId, stage }, signal);
  }

  /** The plan that a site which attaches now should work on. */
  planFor(siteId: string): SignedPlan | undefined {
    if (this.#attempt === undefined) return undefined;
    const { state, plan } = this.#attempt;
    if (state.kind === "selecting" || isOver(state)) return undefined;
    const member = state.members[siteId];
    return member === undefined || isOut(member.status) ? undefined : plan;
  }

  /** The current plan's bytes and parent, for checks of what sites send. */
  get plan(): SignedPlan | undefined {
    return this.#attempt?.plan;
  }

  get layout(): ParameterLayout {
    return this.#layout;
  }

  /** Lets go of timers and waiting calls; the state stays as it is on disk. */
  close(): void {
    this.#closed.abort();
    this.#cancelTimer();
    this.#waiters.failAll(new AbortedError("the coordinator is stopping"));
  }

  #perform(effect: Effect): void {
    const { transport, observer } = this.#options;
    const { state, plan } = this.#attempt!;
    switch (effect.kind) {
      case "offer-plan":
        if (state.kind === "training") observer.cohortSelected(Object.keys(state.members).length);
        for (const site of effect.sites) transport.offer(site, plan);
        break;
      case "withdraw":
        for (const site of effect.sites) transport.withdraw(site, { key: state.key, reason: effect.reason });
        break;
      case "answer-waiters":
        this.#waiters.answer(state);
        break;
      case "set-timer":
        this.#setTimer(effect.atMs);
        break;
      case "start-aggregation":
        this.#startAggregation();
        break;
      case "stage-closed":
        this.#stageClosed(effect);
        break;
      case "site-dropped":
        observer.siteDropped(effect.reason);
        this.#note("site-dropped", { siteId: effect.siteId, reason: effect.reason });
        break;
      default:
        this.#performEnd(effect);
    }
  }

  #performEnd(effect: Extract<Effect, { kind: "round-committed" | "next-attempt" | "pause-run" | "stop-run" }>): void {
    const { state } = this.#attempt!;
    const { observer } = this.#options;
    this.#cancelTimer();
    if (effect.kind === "round-committed") observer.roundEnded("committed");
    else if (state.kind === "aborted") observer.roundEnded("aborted");
    this.#note(effect.kind, "reason" in effect ? { reason: effect.reason } : {});
    switch (effect.kind) {
      case "round-committed":
        if (state.kind === "committed") this.#committed(state);
        break;
      case "next-attempt":
        forgetMessages(this.#options, state.key);
        this.#beginNext(state, effect.notBeforeMs);
        break;
      case "pause-run":
        observer.runPaused(state.kind === "committed" ? "collapse" : "lost-attempts");
        forgetMessages(this.#options, state.key);
        this.#listener.ended();
        break;
      case "stop-run":
        forgetMessages(this.#options, state.key);
        this.#listener.ended();
        break;
      default:
        unreachable(effect);
    }
  }

  /** Where an alarm pauses the run, the next effect does. */
  #committed(state: Committed): void {
    this.#options.observer.roundCommitted(committedFacts(state, this.config));
    if (state.alarm === null) this.#afterCommit(state);
    else pruneAfter(this.#options, state.key);
  }

  #stageClosed({ stage, durationMs }: Extract<Effect, { kind: "stage-closed" }>): void {
    this.#options.observer.stageClosed(stage, durationMs);
    this.#note("stage-closed", { stage, durationMs });
    if (stage !== "aggregating") failpoint(`${messageOf[stage]}/closed`);
  }

  #setTimer(atMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.schedule(atMs, () => this.#tick());
  }

  #tick(): void {
    this.apply({ kind: "deadline-ticked" });
  }

  #startAggregation(): void {
    const { state, plan, parentDigest } = this.#attempt!;
    if (state.kind !== "aggregating") return;
    this.#cancelTimer();
    failpoint("aggregate/started");
    const sources = { ...this.#options, layout: this.#layout, config: this.config };
    const { signal } = this.#closed;
    // Rejects only when the store fails: nothing may go on that cannot be written down.
    eventOfSum(sources, state, { planBody: plan.body, parentDigest, signal })
      .then((event) => {
        if (event !== undefined && this.#isCurrent(state.key)) this.apply(event);
      })
      .catch((thrown: unknown) => this.#options.halt(thrown));
  }

  #isCurrent({ round, attempt }: RoundKey): boolean {
    const state = this.#attempt?.state;
    return state?.kind === "aggregating" && state.key.round === round && state.key.attempt === attempt;
  }

  #afterCommit({ key, excluded, conduct, watched }: Pick<Committed, "key" | "excluded" | "conduct" | "watched">): void {
    forgetMessages(this.#options, key);
    pruneAfter(this.#options, key);
    if (key.round >= this.config.rounds) {
      this.#listener.ended();
      return;
    }
    const nowMs = this.#options.clock.now();
    this.#begin({ ...key, round: key.round + 1, attempt: 1 }, { ...freshFacts(nowMs), excluded, conduct, watched });
  }

  #beginFirst(): void {
    const nowMs = this.#options.clock.now();
    const settleAtMs = nowMs + this.#options.times.settleMs;
    const key = { runId: this.run.runId, round: 1, attempt: 1 };
    this.#begin(key, { ...freshFacts(nowMs), settleAtMs });
  }

  #beginNext(ended: RoundState, notBeforeMs: number): void {
    const { key } = ended;
    this.#begin({ ...key, attempt: key.attempt + 1 }, factsAfter(ended, notBeforeMs));
  }

  get #privacyFacts() {
    return { runId: this.run.runId, config: this.config, dimension: this.#layout.dimension };
  }

  /** A run whose privacy is spent begins nothing more, also when somebody resumes it. */
  #pauseFor(reason: string): void {
    const { store, clock, observer } = this.#options;
    this.#cancelTimer();
    store.setRunStatus(this.run.runId, { status: "paused", reason, nowMs: clock.now() });
    observer.runPaused("privacy-budget");
    if (this.#attempt !== undefined) this.#note("pause-run", { reason });
    this.#listener.ended();
  }

  #begin(key: RoundKey, facts: AttemptFacts): void {
    const spent = budgetObjection(this.#options.store, this.#privacyFacts);
    if (spent !== undefined) {
      this.#pauseFor(spent);
      return;
    }
    const { registry, membership, clock, times, store, checkpoints } = this.#options;
    const present = registry.attachedSites().filter((site) => membership.admits(site));
    const awaited = registry.enrolledSites().filter((site) => !present.includes(site) && membership.admits(site));
    const nowMs = clock.now();
    const begun = { notBeforeMs: 0, settleAtMs: 0, lost: {}, ...facts, key, nowMs, present, awaited };
    const state = beginSelecting(begun, this.config, times);
    const parentDigest = store.findRun(this.run.runId)!.checkpointDigest;
    const parent = { digest: parentDigest, bytes: checkpoints.requireSize(parentDigest) };
    const plan = signPlan({ ...this.#options, ...this.#planSource(key.round) }, key, parent);
    failpoint("plan/before-persist");
    store.addAttempt(attemptRow(state, plan, parentDigest));
    failpoint("plan/after-persist");
    this.#attempt = { state, plan, parentDigest };
    this.#listener.changed();
    this.#tick();
  }

  #planSource(round: number) {
    const { registry, membership, store } = this.#options;
    const { runId, configJson, launchedBy } = this.run;
    const auditWitnesses = registry.auditWitnesses();
    const previousResultDigest = resultBefore(store, runId, round);
    return {
      ...{ config: this.config, configJson, layout: this.#layout, previousResultDigest, auditWitnesses },
      ...{ roster: membership.roster, launchedBy },
    };
  }

  #note(kind: string, fields: Readonly<Record<string, string | number>>): void {
    const { store, clock, log } = this.#options;
    const { runId, round, attempt } = this.#attempt!.state.key;
    const noted = { runId, round, attempt, ...fields };
    store.addEvent({ atMs: clock.now(), kind, fields: noted });
    log.info(kind, noted);
  }
}
