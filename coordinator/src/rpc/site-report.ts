import type { DropReason } from "@consilium/shared/protocol.js";
import { SitePhase, type SiteReport } from "@consilium/shared/rpc/gen/federation.js";
import { isSiteId } from "@consilium/shared/secagg/protocol.js";
import type { RoundEvent } from "../round/state.js";

type ReportEvent = Extract<RoundEvent, { kind: "phase-reported" | "refused" | "site-failed" }>;

/** Codes and clauses are shown to researchers and logged, so anything but a short name is replaced. */
const shortName = /^[A-Za-z0-9_.:[\]-]{1,80}$/;

/** What a site's report means for the round; undefined for one that changes nothing. */
export function reportEvent(siteId: string, report: SiteReport): ReportEvent | undefined {
  const { stepsDone } = report;
  switch (report.phase) {
    case SitePhase.FETCHING:
      return { kind: "phase-reported", siteId, phase: "fetching", stepsDone };
    case SitePhase.TRAINING:
      return { kind: "phase-reported", siteId, phase: "training", stepsDone };
    case SitePhase.MASKING:
      return { kind: "phase-reported", siteId, phase: "masking", stepsDone };
    case SitePhase.REFUSED:
      return { kind: "refused", siteId, clause: nameOr(report.clause, nameOr(report.code, "policy")) };
    case SitePhase.FAILED: {
      const code = nameOr(report.code, "training-failed");
      const failed = { kind: "site-failed", siteId, reason: dropReason(code), code } as const;
      return code === "share-invalid" && isSiteId(report.accused) ? { ...failed, accused: report.accused } : failed;
    }
    default:
      return undefined;
  }
}

function nameOr(text: string, otherwise: string): string {
  return shortName.test(text) ? text : otherwise;
}

function dropReason(code: string): DropReason {
  // An agent that lost an attempt's keys, as by a restart, leaves the attempt and joins the next.
  if (code === "attempt-aborted") return "withdrawn";
  return code === "not-finite" ? code : "training-failed";
}
