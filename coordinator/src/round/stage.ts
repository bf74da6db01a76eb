import type { StageName } from "../store/run-store.js";
import { boundsOn } from "./lost-attempts.js";
import { stageFloor, sumSize } from "./rules.js";
import { safeSites } from "./safe-sites.js";
import { isOut, type SiteStatus, type StageState } from "./state.js";

/** A stage's standing: who has done its part, and who is still awaited. Sorted. */
export interface StageView {
  readonly done: readonly string[];
  readonly pending: readonly string[];
  readonly floor: number;
}

const doneKind: Record<StageState["kind"], SiteStatus["kind"]> = {
  training: "ready",
  sharing: "shared",
  uploading: "uploaded",
  confirming: "confirmed",
  unmasking: "unmasked",
};

/** The site's message that each stage waits for. */
export const messageOf = {
  training: "advertise",
  sharing: "share",
  uploading: "upload",
  confirming: "confirm",
  unmasking: "unmask",
} as const satisfies Record<StageState["kind"], StageName>;

export function viewStage(state: StageState): StageView {
  const pool = poolOf(state);
  const statusOf = (site: string): SiteStatus => state.members[site]!.status;
  const done = pool.filter((site) => statusOf(site).kind === doneKind[state.kind]);
  const pending = pool.filter((site) => statusOf(site).kind !== doneKind[state.kind] && !isOut(statusOf(site)));
  return { done, pending, floor: stageFloor(state) };
}

/** The sites whose part the stage consists of. */
export function poolOf(state: StageState): readonly string[] {
  switch (state.kind) {
    case "training":
      return Object.keys(state.members).sort();
    case "sharing":
      return state.advertisers;
    case "uploading":
      return state.sharers;
    case "confirming":
      return state.survivors;
    case "unmasking":
      return state.signers;
  }
}

export type Verdict =
  | { readonly kind: "wait"; readonly untilMs: number }
  /** Closes with `done`; `late` are dropped for the reason. */
  | { readonly kind: "close"; readonly late: readonly string[]; readonly reason: "deadline" | "detached" }
  | { readonly kind: "abort" };

/** Whether the stage closes now. A slow site is waited for until the deadline, a lost one only through its grace. */
export function judgeStage(state: StageState, nowMs: number): Verdict {
  const { done, pending } = viewStage(state);
  if (!mayClose(state, done, pending)) return { kind: "abort" };
  if (pending.length === 0) return { kind: "close", late: [], reason: "deadline" };
  if (nowMs >= state.deadlineMs) {
    return mayClose(state, done) ? { kind: "close", late: pending, reason: "deadline" } : { kind: "abort" };
  }
  const graceEnds = pending.map((site) => graceEndMs(state, site));
  if (!mayClose(state, done) || graceEnds.includes(undefined)) return { kind: "wait", untilMs: state.deadlineMs };
  const lastGraceMs = Math.max(...graceEnds.map((endMs) => endMs!));
  if (nowMs >= lastGraceMs) return { kind: "close", late: pending, reason: "detached" };
  return { kind: "wait", untilMs: Math.min(state.deadlineMs, lastGraceMs) };
}

/** Whether the stage may close with these sites, once the pending ones among them have done their part. */
function mayClose(state: StageState, done: readonly string[], pending: readonly string[] = []): boolean {
  const sites = [...done, ...pending];
  return sites.length >= stageFloor(state) && survivorsAmong(state, sites, pending) !== undefined;
}

/**
 * Whom of these sites the sum may be over as far as the round's lost attempts go; all of them where none was lost.
 * @param undecided those of them that have not yet said which lost attempts they gave up
 */
export function survivorsAmong(
  state: StageState,
  sites: readonly string[],
  undecided: readonly string[] = [],
): readonly string[] | undefined {
  // Whom the sum is over is settled then.
  if (state.kind === "confirming" || state.kind === "unmasking") return sites;
  const bounds = boundsOn(state, state.kind === "training" ? undecided : []);
  return bounds.unproven.length === 0 ? sites : safeSites(sites, bounds, sumSize(state, sites.length));
}

/** When a lost site's grace ends; undefined while the site is there. */
function graceEndMs(state: StageState, site: string): number | undefined {
  const { detachedAtMs } = state.members[site]!;
  return detachedAtMs === null ? undefined : detachedAtMs + state.rules.graceMs;
}
