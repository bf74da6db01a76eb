import type { StageName } from "../store/run-store.js";
import { isOut, type RoundState } from "./state.js";

/** Whether a site's message of a stage may enter the attempt as it stands. */
export type Admission =
  | "open"
  /** The site's message is here already. */
  | "repeated"
  /** The stage has not begun. */
  | "early"
  /** The stage is over, or the site has no part in it. */
  | "closed";

const stageOrder = ["selecting", "training", "sharing", "uploading", "confirming", "unmasking", "aggregating"] as const;

const openIn: Record<StageName, (typeof stageOrder)[number]> = {
  advertise: "training",
  share: "sharing",
  upload: "uploading",
  confirm: "confirming",
  unmask: "unmasking",
};

/** The status that a site must have to send the stage's message; in training, any before `ready`. */
const statusBefore: Record<StageName, readonly string[]> = {
  advertise: ["selected", "fetching", "training", "masking"],
  share: ["ready"],
  upload: ["shared"],
  confirm: ["uploaded"],
  unmask: ["confirmed"],
};

export function admit(state: RoundState, siteId: string, stage: StageName): Admission {
  if (state.kind === "committed" || state.kind === "aborted") return "closed";
  if (state.kind === "selecting") return "early";
  const member = state.members[siteId];
  if (member === undefined || isOut(member.status)) return "closed";
  const distance = stageOrder.indexOf(state.kind) - stageOrder.indexOf(openIn[stage]);
  if (distance < 0) return "early";
  if (distance > 0) return "closed";
  return statusBefore[stage].includes(member.status.kind) ? "open" : "repeated";
}
