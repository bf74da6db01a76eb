import { unreachable } from "@consilium/shared/errors.js";
import { accusationIn } from "./accusations.js";
import { tryClose } from "./closing.js";
import { withFault } from "./conduct.js";
import { changeRoster, commit, failAggregation, stop } from "./ending.js";
import { acceptAdvert, acceptMessage, attach, detach, leave, recover, refuse, reportPhase } from "./running.js";
import { onSelecting, trySelect } from "./selecting.js";
import { hasDeadline, isOver, type RoundEvent, type RoundState, type RunningState, type Transition } from "./state.js";

/**
 * The next state, and what to do once it is durable. Events that do not fit the state change nothing: they come from
 * outside and may arrive late, twice or in any order. Committed and aborted are final.
 */
export function transition(state: RoundState, event: RoundEvent, nowMs: number): Transition {
  if (isOver(state)) return { state, effects: [] };
  if (event.kind === "stopped") return stop(state, event.reason);
  if (event.kind === "roster-changed") return changeRoster(state, nowMs);
  if (state.kind === "selecting") return trySelect(onSelecting(state, event, nowMs), nowMs);
  const changed = onRunning(state, event, nowMs);
  if (!hasDeadline(changed.state)) return changed;
  const closed = tryClose(changed.state, nowMs);
  return { state: closed.state, effects: [...changed.effects, ...closed.effects] };
}

type InnerEvent = Exclude<RoundEvent, { kind: "stopped" | "roster-changed" }>;

function onRunning(state: RunningState, event: InnerEvent, nowMs: number): Transition {
  switch (event.kind) {
    case "site-attached":
      return attach(state, event.siteId, nowMs);
    case "site-detached":
      return detach(state, event.siteId, nowMs);
    case "phase-reported":
      return reportPhase(state, event);
    case "adverted":
      return acceptAdvert(state, event);
    case "shared":
      return acceptMessage(state, { siteId: event.siteId, stage: "share" }, { status: { kind: "shared" } });
    case "uploaded": {
      const { siteId, bytes: uploadedBytes } = event;
      return acceptMessage(state, { siteId, stage: "upload" }, { status: { kind: "uploaded" }, uploadedBytes });
    }
    case "confirmed":
      return acceptMessage(state, { siteId: event.siteId, stage: "confirm" }, { status: { kind: "confirmed" } });
    case "revealed":
      return acceptMessage(state, { siteId: event.siteId, stage: "unmask" }, { status: { kind: "unmasked" } });
    case "refused":
      return refuse(state, event.siteId, event.clause);
    case "site-failed": {
      const { siteId, reason, code } = event;
      const status = { kind: "failed", reason, code, ...accusationIn(state, event) } as const;
      return leave(state, siteId, { status, reason });
    }
    case "site-dropped": {
      const { siteId, reason } = event;
      return withFault(leave(state, siteId, { status: { kind: "dropped", reason }, reason }), state, {
        siteId,
        reason,
      });
    }
    case "deadline-ticked":
      return { state, effects: [] };
    case "aggregated":
      return state.kind === "aggregating" ? commit(state, event, nowMs) : { state, effects: [] };
    case "aggregation-failed":
      return state.kind === "aggregating" ? failAggregation(state, event, nowMs) : { state, effects: [] };
    case "recovered":
      return recover(state, nowMs);
    default:
      return unreachable(event);
  }
}
