import type { StageName } from "../store/run-store.js";
import { stageFloor } from "./rules.js";
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
  const { done, pending, floor } = viewStage(state);
  if (done.length + pending.length < floor) return { kind: "abort" };
  if (pending.length === 0) return { kind: "close", late: [], reason: "deadline" };
  if (nowMs >= state.deadlineMs) {
    return done.length >= floor ? { kind: "close", late: pending, reason: "deadline" } : { kind: "abort" };
  }
  const graceEnds = pending.map((site) => graceEndMs(state, site));
  if (done.length < floor || graceEnds.includes(undefined)) return { kind: "wait", untilMs: state.deadlineMs };
  const lastGraceMs = Math.max(...graceEnds.map((endMs) => endMs!));
  if (nowMs >= lastGraceMs) return { kind: "close", late: pending, reason: "detached" };
  return { kind: "wait", untilMs: Math.min(state.deadlineMs, lastGraceMs) };
}

/** When a lost site's grace ends; undefined while the site is there. */
function graceEndMs(state: StageState, site: string): number | undefined {
  const { detachedAtMs } = state.members[site]!;
  return detachedAtMs === null ? undefined : detachedAtMs + state.rules.graceMs;
}
