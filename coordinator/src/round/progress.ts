import { architectureName, type RunConfig } from "@consilium/shared/config/run-config.js";
import { knownFigures } from "@consilium/shared/secagg/figures.js";
import type { RunRow, RunStore } from "../store/run-store.js";
import type { CommittedFacts } from "./ports.js";
import { selectionFloor } from "./rules.js";
import { eligibleIn, missingIn } from "./selecting.js";
import { viewStage } from "./stage.js";
import {
  type Aggregate,
  type Committed,
  hasDeadline,
  type Member,
  type RoundState,
  type Selecting,
  type StageState,
} from "./state.js";

/** A run as researchers see it. "" and 0 stand for absent, as in `admin.proto`. */

export interface RunSummary {
  readonly runId: string;
  readonly name: string;
  readonly method: string;
  readonly model: string;
  readonly status: string;
  readonly statusReason: string;
  readonly roundsDone: number;
  readonly roundsTotal: number;
  readonly lastLoss: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly checkpointDigest: string;
}

export interface SiteProgress {
  readonly siteId: string;
  readonly phase: string;
  readonly reason: string;
  readonly stepsDone: number;
  readonly uploadedBytes: number;
}

export interface RoundProgress {
  readonly round: number;
  readonly attempt: number;
  readonly stage: string;
  readonly deadlineMs: number;
  readonly sites: SiteProgress[];
  readonly waitingFor: string;
  readonly startedAtMs: number;
}

export interface RoundRecord {
  readonly round: number;
  readonly attempts: number;
  readonly cohort: string[];
  readonly dropped: SiteProgress[];
  readonly loss: number;
  readonly weight: number;
  readonly durationMs: number;
  readonly uploadedBytes: number;
  readonly checkpointDigest: string;
  readonly parentDigest: string;
  /** By name; `aggregateNorm` is the norm of the cohort's mean update. */
  readonly figures: { readonly [name: string]: number };
}

export interface RunDetail {
  readonly summary: RunSummary;
  readonly current: RoundProgress | undefined;
  readonly history: RoundRecord[];
  readonly configJson: string;
}

export function summaryOf(run: RunRow, config: RunConfig, history: readonly RoundRecord[]): RunSummary {
  return {
    runId: run.runId,
    name: run.name,
    method: config.method.name,
    model: architectureName(config),
    status: run.status,
    statusReason: run.reason,
    roundsDone: history.length,
    roundsTotal: config.rounds,
    lastLoss: history.at(-1)?.loss ?? 0,
    createdAtMs: run.createdAtMs,
    updatedAtMs: run.updatedAtMs,
    checkpointDigest: run.checkpointDigest,
  };
}

export function progressOf(state: RoundState): RoundProgress {
  return {
    round: state.key.round,
    attempt: state.key.attempt,
    stage: state.kind,
    deadlineMs: hasDeadline(state) ? state.deadlineMs : 0,
    sites: sitesOf(state),
    waitingFor: waitingFor(state),
    startedAtMs: state.roundStartedAtMs,
  };
}

export function recordOf(state: Committed, parentDigest: string): RoundRecord {
  const progress = Object.entries(state.members).map(([site, member]) => siteProgress(site, member));
  return {
    round: state.key.round,
    attempts: state.key.attempt,
    cohort: [...state.survivors],
    dropped: progress.filter(({ siteId }) => !state.survivors.includes(siteId)),
    loss: state.aggregate.loss,
    weight: state.aggregate.weight,
    durationMs: state.committedAtMs - state.roundStartedAtMs,
    uploadedBytes: progress.reduce((sum, site) => sum + site.uploadedBytes, 0),
    checkpointDigest: state.aggregate.checkpointDigest,
    parentDigest,
    figures: figuresOf(state.aggregate),
  };
}

function figuresOf({ figures, deltaNorm }: Aggregate): RoundRecord["figures"] {
  return { ...knownFigures(figures), aggregateNorm: deltaNorm };
}

/** For metrics. */
export function committedFacts(state: Committed, { rounds }: Pick<RunConfig, "rounds">): CommittedFacts {
  const { aggregate, survivors, key } = state;
  return {
    loss: aggregate.loss,
    participants: survivors.length,
    progress: key.round / rounds,
    figures: figuresOf(aggregate),
  };
}

/** Oldest first. */
export function committedRounds(store: RunStore, runId: string): RoundRecord[] {
  return store.listRecords(runId).map((json) => {
    // A version without figures may have written it.
    const record: RoundRecord = { figures: {}, ...JSON.parse(json) };
    return record;
  });
}

function sitesOf(state: RoundState): SiteProgress[] {
  const members = state.kind === "selecting" ? {} : state.members;
  const away = state.kind === "selecting" ? { ...state.lost, ...state.excluded } : state.excluded;
  const excluded = Object.entries(away)
    .filter(([site]) => members[site] === undefined)
    .map(([siteId, { reason, detail }]) => {
      const phase = reason === "refused" ? "refused" : state.excluded[siteId] === undefined ? "failed" : "dropped";
      return { siteId, phase, reason: phase === "dropped" ? reason : detail, stepsDone: 0, uploadedBytes: 0 };
    });
  const taking = Object.entries(members).map(([site, member]) => siteProgress(site, member));
  return [...taking, ...excluded].sort((a, b) => (a.siteId < b.siteId ? -1 : 1));
}

function siteProgress(siteId: string, { status, stepsDone, uploadedBytes }: Member): SiteProgress {
  return { siteId, phase: status.kind, reason: reasonOf(status), stepsDone, uploadedBytes };
}

function reasonOf(status: Member["status"]): string {
  switch (status.kind) {
    case "refused":
      return status.clause;
    case "failed":
      return status.code;
    case "dropped":
      return status.reason;
    default:
      return "";
  }
}

function waitingFor(state: RoundState): string {
  if (state.kind === "selecting") return missingSites(state);
  if (!hasDeadline(state)) return "";
  return missingAnswers(state);
}

/** Such as "2 more sites (1 of 3 here); hospital-b refused (max_rounds)". */
function missingSites(state: Selecting): string {
  const here = eligibleIn(state, state.present).length;
  const floor = selectionFloor(state.rules);
  const excluded = Object.entries(state.excluded).map(([site, { reason, detail }]) =>
    reason === "refused" ? `${site} refused (${detail})` : `${site} is left out (${reason})`,
  );
  const missing = floor - here;
  if (missing > 0) {
    const text = `${missing} more ${missing === 1 ? "site" : "sites"} (${here} of ${floor} here)`;
    return [text, ...[missingIn(state)].filter((wanted) => wanted !== ""), ...excluded].join("; ");
  }
  const wanted = missingIn(state);
  if (wanted !== "") return [wanted, ...excluded].join("; ");
  const lost = Object.entries(state.lost).map(([site, { detail }]) => `${site} failed (${detail})`);
  return lost.length === 0 ? "" : ["another attempt", ...lost].join("; ");
}

/** Only lost sites are worth naming: the others are at work, and the list of sites shows it. */
function missingAnswers(state: StageState): string {
  const lost = viewStage(state).pending.filter((site) => state.members[site]!.detachedAtMs !== null);
  return lost.length === 0 ? "" : `${lost.join(", ")} to come back`;
}
