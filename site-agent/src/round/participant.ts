import { isDeepStrictEqual } from "node:util";
import { asConsiliumError, ConsiliumError, describeError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import { type ReceivedPlan, type RoundKey, type RoundPlan, roundKeyText } from "@consilium/shared/protocol.js";
import type { ApprovalStore } from "../approvals/approval-store.js";
import type { RunHistory } from "../approvals/run-history.js";
import type { AuditEvent } from "../audit/audit-entry.js";
import { planDigest, roundOf } from "../audit/round-object.js";
import { GovernanceRefusal } from "../governance/governance-refusal.js";
import { type Hours, withinHours } from "../hours.js";
import type { Policy } from "../policy.js";
import { approvalClause, checkPolicy } from "../policy-check.js";
import { withFloors } from "../policy-floors.js";
import type { TrainedRound, TrainProgress } from "../trainer/protocol.js";
import { Attempt, type AttemptSurroundings } from "./attempt.js";
import type { Directive, SiteReport, StageOutcome } from "./coordinator.js";
import { type CheckedPlan, checkPlan, requireRunTerms } from "./plan-check.js";
import type { ParticipantEffect, ParticipantEvent, ParticipantState, Work } from "./state.js";
import { isNews, transition } from "./transition.js";

/** Told what happens, for metrics, the status file and the terminal. */
export interface RoundObserver {
  /** A plan came whose signature holds; what the site thinks of it comes after. */
  planned?(plan: RoundPlan): void;
  state(state: ParticipantState): void;
  progress(progress: TrainProgress): void;
  trained(trained: TrainedRound): void;
  refused(clause: string): void;
  /** A message of an attempt did not pass this check of the site's. */
  rejected(check: string): void;
  /** A piece of work ended, whatever its outcome. */
  worked(work: Work, durationMs: number): void;
}

export interface ParticipantOptions {
  readonly attempt: Omit<AttemptSurroundings, "onProgress" | "onTrained" | "onRejected">;
  /** The federation that this site joined; its certificate would let it speak to no other. */
  readonly federation: string;
  /** Read anew for each plan, so that an edited policy counts at once. Throws when there is no valid policy. */
  readonly loadPolicy: () => Policy;
  /** Read anew for each plan too: a person's word counts at once. */
  readonly approvals: Pick<ApprovalStore, "decisionOn" | "ask">;
  /** The runs that ever used this site's images. */
  readonly history: Pick<RunHistory, "placeOf" | "requireSame" | "count">;
  readonly hours: Hours;
  /** Images that training would draw from. */
  readonly countSamples: () => Promise<number>;
  readonly reporter: { tell(report: SiteReport): void };
  readonly observer: RoundObserver;
  readonly logger: Logger;
}

/** The plan that was refused last, and the roster that was followed then. */
interface RefusedPlan {
  readonly received: ReceivedPlan;
  readonly rosterVersion: number;
  /** Where the policy allowed the plan and what came of it was refused, as a model can be: that policy. */
  readonly policy?: Policy;
}

/** One site's part in rounds: performs what the transition asks for. No failure in a round ends it. */
export class Participant {
  readonly #options: ParticipantOptions;
  #state: ParticipantState = { kind: "idle" };
  #attempt: Attempt | undefined;
  /** The next attempt, between the check of its plan and the transition. */
  #proposed: Attempt | undefined;
  /** The plan that was accepted last, and the policy that allowed it. */
  #accepted: { readonly received: ReceivedPlan; readonly policy: Policy } | undefined;
  #refused: RefusedPlan | undefined;
  #directives: Promise<void> = Promise.resolve();
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ParticipantOptions) {
    this.#options = options;
  }

  get state(): ParticipantState {
    return this.#state;
  }

  /** Takes directives in the order in which they come; resolves when this one has had its effect. */
  receive(directive: Directive): Promise<void> {
    this.#directives = this.#directives
      .then(() => this.#receive(directive))
      .catch((thrown: unknown) => {
        this.#options.logger.error("directive-failed", { code: asConsiliumError(thrown).code });
      });
    return this.#directives;
  }

  /**
   * Whether a plan that policy or schedule refused would be followed by now, or one whose model was refused might be, by
   * another policy. The coordinator goes on without a site that refused until it attaches anew.
   */
  reconsider(): Promise<boolean> {
    // Between directives: what is judged here would otherwise take the place of a plan that was just accepted.
    const reconsidered = this.#directives.then(() => this.#reconsider());
    this.#directives = reconsidered.then(
      () => {},
      () => {},
    );
    return reconsidered;
  }

  async #reconsider(): Promise<boolean> {
    if (this.#state.kind !== "refused" || this.#refused === undefined || this.#stopped) return false;
    // By another roster than the one that decided: the coordinator has another plan by now, or has one soon.
    if (this.#refused.rosterVersion !== this.#options.attempt.roster.version) return true;
    const event = await this.#judge(this.#refused.received);
    this.#proposed = undefined;
    if (event.kind !== "plan-accepted") return false;
    const { policy } = this.#refused;
    return policy === undefined || !isDeepStrictEqual(policy, this.#accepted?.policy);
  }

  /** Stops the work that runs. Training goes on from its last save when the agent starts again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#attempt?.abandon();
    await this.#directives;
    await this.#work;
  }

  async #receive(directive: Directive): Promise<void> {
    if (this.#stopped || directive.kind === "heartbeat") return;
    if (directive.kind === "withdrawal") {
      this.#options.logger.info("withdrawn", { round: roundKeyText(directive.key) });
      return this.#dispatch({ kind: "withdrawn", key: directive.key });
    }
    const { key } = directive.received.plan;
    if (!isNews(this.#state, key)) return;
    if (isLaterRound(this.#state, key)) this.#dispatch({ kind: "committed", key: this.#state.key });
    this.#options.observer.planned?.(directive.received.plan);
    const judged = this.#planReceived(directive.received) ?? (await this.#judge(directive.received));
    const event = judged.kind === "plan-accepted" ? this.#counted(directive.received.plan, judged) : judged;
    if (event.kind === "plan-accepted") this.#note({ action: "plan.accepted", object: roundOf(key) }, key);
    const rosterVersion = this.#options.attempt.roster.version;
    this.#refused = event.kind === "plan-refused" ? { received: directive.received, rosterVersion } : undefined;
    this.#dispatch(event);
  }

  /** A plan that cannot be written down is not followed. */
  #planReceived({ plan: { key }, body }: ReceivedPlan): ParticipantEvent | undefined {
    try {
      const object = { ...roundOf(key), plan: planDigest(body) };
      const by = { actor: "coordinator", role: "coordinator" } as const;
      // site-check: plan-audited
      this.#options.attempt.audit.record({ action: "plan.received", object, corrId: roundKeyText(key), ...by });
      return undefined;
    } catch (thrown) {
      return { kind: "plan-invalid", key, error: asConsiliumError(thrown) };
    }
  }

  /** A run that cannot be counted is not followed. */
  #counted(plan: RoundPlan, accepted: ParticipantEvent): ParticipantEvent {
    try {
      // site-check: run-counted
      this.#options.history.count(subjectOf(plan));
      return accepted;
    } catch (thrown) {
      return { kind: "plan-invalid", key: plan.key, error: asConsiliumError(thrown) };
    }
  }

  /** Writes down what has happened already: a log that cannot be written then stops the next act, not this one. */
  #note(event: AuditEvent, key: RoundKey): void {
    try {
      this.#options.attempt.audit.record({ ...event, corrId: roundKeyText(key) });
    } catch (thrown) {
      this.#options.logger.error("audit-not-written", { reason: asConsiliumError(thrown).message });
    }
  }

  /** What the site thinks of a plan: schedule and policy first, since they need nothing from the plan to be right. */
  async #judge(received: ReceivedPlan): Promise<ParticipantEvent> {
    const { plan } = received;
    const { key } = plan;
    const { logger, hours, attempt, federation } = this.#options;
    try {
      // site-check: plan-federation
      if (plan.federation !== federation) throw foreignPlan(plan.federation, federation);
      // site-check: site-hours
      if (!withinHours(hours, new Date(attempt.patience.clock.now()))) {
        return this.#refusal(key, "schedule.hours", "outside the hours of site.yaml");
      }
      const policy = this.#policy();
      // site-check: policy-present
      if (policy === undefined) return this.#refusal(key, "policy.yaml", "there is no valid policy");
      const { floors } = await attempt.roster.follow(plan, policy.governance);
      const strict = withFloors(policy, floors);
      const checked = checkPlan(plan);
      // site-check: plan-is-new
      if (attempt.ledger.standingOf(key) === "passed") throw replayedPlan(key);
      // site-check: run-configuration
      this.#options.history.requireSame(subjectOf(plan));
      const localSamples = await this.#options.countSamples();
      const approval = this.#options.approvals.decisionOn(subjectOf(plan));
      const privacy = await attempt.privacy.assess(checked.config, strict.dp, plan);
      const runPlace = this.#options.history.placeOf(subjectOf(plan));
      const facts = { parameters: checked.layout.dimension, localSamples, approval, privacy, runPlace };
      const verdict = checkPolicy({ plan, config: checked.config, policy: strict, facts });
      // site-check: policy-verdict
      if (!verdict.allowed) {
        if (verdict.clause === approvalClause) this.#ask(plan);
        return this.#refusal(key, verdict.clause, verdict.reason);
      }
      requireRunTerms(plan, checked);
      return this.#accept(received, checked, { policy: strict, localSamples });
    } catch (thrown) {
      const error = asConsiliumError(thrown);
      if (error instanceof GovernanceRefusal) return this.#refusal(key, error.clause, describeError(error));
      logger.warn("plan-declined", { round: roundKeyText(key), code: error.code, reason: error.message });
      return { kind: "plan-invalid", key, error };
    }
  }

  /** @throws ConsiliumError "storage": a question that nobody can see must not look like one that waits. */
  #ask(plan: RoundPlan): void {
    const { approvals, logger } = this.#options;
    const id = approvals.ask(subjectOf(plan));
    if (id === undefined) logger.warn("approval-not-asked", { runId: plan.key.runId, reason: "too many runs wait" });
  }

  #policy(): Policy | undefined {
    try {
      return this.#options.loadPolicy();
    } catch (thrown) {
      this.#options.logger.error("policy-unusable", { reason: asConsiliumError(thrown).message });
      return undefined;
    }
  }

  #refusal(key: RoundKey, clause: string, reason: string): ParticipantEvent {
    const known = this.#state.kind === "refused" && roundKeyText(this.#state.key) === roundKeyText(key);
    if (!known) this.#options.logger.warn("plan-refused", { round: roundKeyText(key), clause, reason });
    return { kind: "plan-refused", key, clause };
  }

  #accept(
    received: ReceivedPlan,
    checked: CheckedPlan,
    { policy, localSamples }: { policy: Policy; localSamples: number },
  ): ParticipantEvent {
    const { observer, attempt } = this.#options;
    const { key, checkpointDigest } = received.plan;
    this.#accepted = { received, policy };
    this.#proposed = new Attempt(
      { received, checked, policy, localSamples },
      {
        ...attempt,
        onTrained: (trained) => observer.trained(trained),
        onRejected: (check) => observer.rejected(check),
        onProgress: (progress) => {
          observer.progress(progress);
          this.#dispatch({ kind: "progress", key, stepsDone: progress.step });
        },
      },
    );
    return {
      kind: "plan-accepted",
      key,
      updateReady: attempt.updates.find(key, Buffer.from(checkpointDigest).toString("hex")) !== undefined,
      advertised: attempt.ledger.standingOf(key) === "begun",
    };
  }

  #dispatch(event: ParticipantEvent): void {
    if (this.#stopped) return;
    const before = this.#state;
    const { state, effects } = transition(before, event);
    this.#state = state;
    if (state.kind === "refused" && "error" in event) this.#remember();
    if (state !== before) this.#tellChange(before, state, event);
    for (const effect of effects) this.#apply(effect);
  }

  /** What was accepted was refused after all. */
  #remember(): void {
    const rosterVersion = this.#options.attempt.roster.version;
    this.#refused = this.#accepted && { ...this.#accepted, rosterVersion };
  }

  #tellChange(before: ParticipantState, state: ParticipantState, event: ParticipantEvent): void {
    const { observer, logger } = this.#options;
    const entry = entryOf(state);
    if (entry !== undefined && state.kind !== "idle") this.#note(entry, state.key);
    observer.state(state);
    if (state.kind === "refused") observer.refused(state.clause);
    if (state.kind === "idle" || state.kind === before.kind) return;
    const fields = { state: state.kind, round: roundKeyText(state.key) };
    if (state.kind === "failed") logger.error("round-failed", { ...fields, ...failureFields(state.code, event) });
    else if (state.kind === "refused" && "error" in event) {
      logger.warn("round-refused", { ...fields, clause: state.clause, ...failureFields("policy-refused", event) });
    } else if (state.kind === "left") logger.info("round", { ...fields, cause: state.cause, ...leavingFields(event) });
    else logger.info("round", fields);
  }

  #apply(effect: ParticipantEffect): void {
    switch (effect.kind) {
      case "abandon":
        this.#attempt?.abandon();
        this.#attempt = undefined;
        return;
      case "report": {
        const { kind: _kind, ...report } = effect;
        this.#options.reporter.tell(report);
        return;
      }
      case "forget-update":
        this.#options.attempt.updates.forget(effect.key);
        return;
      case "perform":
        this.#perform(effect);
    }
  }

  /** Waits for what an abandoned attempt still does, since there is one trainer. */
  #perform({ work, outcome }: Extract<ParticipantEffect, { kind: "perform" }>): void {
    this.#attempt ??= this.#proposed;
    this.#proposed = undefined;
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#work = this.#work
      .then(() => this.#carryOut(attempt, work, outcome))
      .catch((thrown: unknown) => {
        this.#options.logger.error("work-failed", { work, reason: asConsiliumError(thrown).message });
      });
  }

  async #carryOut(attempt: Attempt, work: Work, outcome: StageOutcome | undefined): Promise<void> {
    if (attempt.abandoned) return;
    const { clock } = this.#options.attempt.patience;
    const startedMs = clock.now();
    const event = await attempt.perform(work, outcome);
    this.#options.observer.worked(work, clock.now() - startedMs);
    if (event !== undefined) this.#dispatch(event);
  }
}

function isLaterRound(
  state: ParticipantState,
  { runId, round }: RoundKey,
): state is Exclude<ParticipantState, { kind: "idle" }> {
  return state.kind !== "idle" && state.key.runId === runId && state.key.round < round;
}

/** The entry of the audit log about a state in which a plan ends for this site. */
function entryOf(state: ParticipantState): AuditEvent | undefined {
  switch (state.kind) {
    case "refused":
      return { action: "plan.refused", object: roundOf(state.key), outcome: "refused", reason: state.clause };
    case "failed":
      return { action: "attempt.ended", object: roundOf(state.key), outcome: "failure", reason: state.code };
    case "left":
      return { action: "attempt.ended", object: roundOf(state.key), outcome: "failure", reason: state.cause };
    case "done":
      return { action: "attempt.ended", object: roundOf(state.key) };
    default:
      return undefined;
  }
}

/** The message belongs in the site's own log only; the coordinator gets the code. */
function failureFields(code: string, event: ParticipantEvent) {
  const error: ConsiliumError | undefined = "error" in event ? event.error : undefined;
  return { code, reason: error?.message, remedy: error?.remedy };
}

function leavingFields(event: ParticipantEvent) {
  return event.kind === "outcome" && "reason" in event.outcome ? { reason: event.outcome.reason } : {};
}

const subjectOf = ({ key: { runId }, runConfigJson }: RoundPlan) => ({ runId, runConfigJson });

function replayedPlan(key: RoundKey): ConsiliumError {
  return new ConsiliumError("stale", `the plan for ${roundKeyText(key)} is older than what this site took part in`, {
    remedy: "the coordinator has lost its newest rounds, or repeats old plans; tell its operator",
  });
}

function foreignPlan(named: string, own: string): ConsiliumError {
  return new ConsiliumError("plan-invalid", `the plan is for federation ${named}, this site belongs to ${own}`);
}
