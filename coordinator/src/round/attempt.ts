import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { planSignatureLabel, type RoundKey } from "@consilium/shared/protocol.js";
import type { AttemptRow } from "../store/run-store.js";
import { buildPlan, type PlanFacts } from "./plan.js";
import type { MessageCodec, SignedPlan } from "./ports.js";
import { type RuleTimes, rulesOf } from "./rules.js";
import type { Exclusion, RoundState, Selecting } from "./state.js";

/** The beginning of an attempt, and its form on disk. */

export interface AttemptStart {
  readonly key: RoundKey;
  readonly nowMs: number;
  readonly roundStartedAtMs: number;
  readonly notBeforeMs: number;
  readonly settleAtMs: number;
  readonly failures: number;
  readonly excluded: Readonly<Record<string, Exclusion>>;
  readonly conduct: RoundState["conduct"];
  readonly aborts: RoundState["aborts"];
  readonly lostAttempts: RoundState["lostAttempts"];
  readonly watched: RoundState["watched"];
  readonly lost: Readonly<Record<string, Exclusion>>;
  readonly present: readonly string[];
  readonly awaited: readonly string[];
}

export function beginSelecting(start: AttemptStart, config: RunConfig, times: RuleTimes): Selecting {
  const { nowMs, ...facts } = start;
  return { kind: "selecting", rules: rulesOf(config, times), stageStartedAtMs: nowMs, ...facts };
}

/** What an attempt takes over from the one before. */
export type AttemptFacts = Pick<
  AttemptStart,
  "roundStartedAtMs" | "failures" | "excluded" | "aborts" | "lostAttempts" | "conduct" | "watched"
> &
  Partial<Pick<AttemptStart, "lost" | "notBeforeMs" | "settleAtMs">>;

/** Of a round's first attempt, in a run in which nothing has happened. */
export function freshFacts(nowMs: number): AttemptFacts {
  const nothing = { failures: 0, excluded: {}, aborts: [], lostAttempts: [], conduct: {}, watched: [] };
  return { roundStartedAtMs: nowMs, ...nothing };
}

/** Of the attempt after one that was lost. */
export function factsAfter(ended: RoundState, notBeforeMs: number): AttemptFacts {
  const { roundStartedAtMs, failures, excluded, aborts, lostAttempts, conduct, watched } = ended;
  const kept = { roundStartedAtMs, failures, excluded, aborts, lostAttempts, conduct, watched };
  return { ...kept, notBeforeMs, lost: lostIn(ended) };
}

/** Sites that an attempt lost, and why. */
function lostIn(state: RoundState): Record<string, Exclusion> {
  const members = state.kind === "selecting" ? {} : state.members;
  return Object.fromEntries(
    Object.entries(members).flatMap(([site, { status }]): [string, Exclusion][] => {
      if (status.kind === "failed") return [[site, { reason: status.reason, detail: status.code }]];
      return status.kind === "dropped" ? [[site, { reason: status.reason, detail: status.reason }]] : [];
    }),
  );
}

export interface PlanSource extends Omit<PlanFacts, "key" | "checkpoint"> {
  readonly codec: MessageCodec;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** The plan's bytes are made once and stored: masks are bound to them, so a restart must repeat them exactly. */
export function signPlan(
  { codec, sign, ...facts }: PlanSource,
  key: RoundKey,
  parent: { readonly digest: string; readonly bytes: number },
): SignedPlan {
  const checkpoint = { digest: new Uint8Array(Buffer.from(parent.digest, "hex")), bytes: parent.bytes };
  const body = codec.encodePlan(buildPlan({ ...facts, key, checkpoint }));
  return { body, signature: sign(Buffer.concat([Buffer.from(planSignatureLabel), body])) };
}

export function attemptRow(state: RoundState, plan: SignedPlan, parentDigest: string): AttemptRow {
  return {
    key: state.key,
    kind: state.kind,
    stateJson: JSON.stringify(state),
    planBody: plan.body,
    planSignature: plan.signature,
    parentDigest,
    recordJson: null,
  };
}

/** What a state may lack that an older version stored. */
const addedSince = { watched: [], alarm: null, conduct: {}, aborts: [], lostAttempts: [] };

/** The store gives back what `attemptRow` and the driver wrote; nobody else writes there. */
export function storedState(row: AttemptRow): RoundState {
  const state: RoundState = { ...addedSince, ...JSON.parse(row.stateJson) };
  return { ...state, rules: { ...state.rules, collapse: state.rules.collapse ?? null } };
}
