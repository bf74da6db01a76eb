import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import { type Approval, approvalId } from "../approvals/approval.js";
import type { SiteHome } from "../home.js";
import { overallVerdict, type RunVerdicts, verdictsOn, verdictTable } from "./run-verdicts.js";

/** Approvals as people read them. */

export function approvalTable(approvals: readonly Approval[]): string[] {
  if (approvals.length === 0) return ["no run has asked to begin"];
  const columns = ["id", "asked", "decision", "decided", "note"].map((title) => ({ title, maxWidth: 150 }));
  return tableLines(
    columns,
    approvals.map((approval) => [
      approvalId(approval),
      formatInstant(approval.askedAtMs),
      approval.decision,
      instantText(approval.decidedAtMs),
      approval.reason ?? "",
    ]),
  );
}

const instantText = (atMs: number | undefined): string => (atMs === undefined ? "–" : formatInstant(atMs));

/** What the policy says of a run; undefined where this version cannot read its configuration. */
export async function verdictsOnApproval(approval: Approval, home: SiteHome): Promise<RunVerdicts | undefined> {
  const config = runConfigSchema.safeParse(JSON.parse(approval.runConfigJson));
  if (!config.success) return undefined;
  const { decision } = approval;
  return verdictsOn(config.data, { home, run: approval, approval: decision === "waiting" ? undefined : decision });
}

export function approvalLines(approval: Approval, verdicts: RunVerdicts | undefined): string[] {
  const { runId, digest, runConfigJson, decision, reason } = approval;
  return [
    ...fieldLines([
      ["id", approvalId(approval)],
      ["run", runId],
      ["SHA-256", digest],
      ["bytes", String(Buffer.byteLength(runConfigJson))],
      ["asked", formatInstant(approval.askedAtMs)],
      ["decision", decision],
      ["decided", instantText(approval.decidedAtMs)],
      ...(reason === undefined ? [] : [["note", reason] as const]),
    ]),
    "",
    ...JSON.stringify(JSON.parse(runConfigJson), null, 2).split("\n"),
    "",
    ...verdictLines(verdicts),
  ];
}

function verdictLines(verdicts: RunVerdicts | undefined): string[] {
  if (verdicts === undefined) return ["this version of the agent cannot read the configuration: it refuses the run"];
  return [...verdictTable(verdicts.clauses), "", overallVerdict(verdicts)];
}

/** @param before what was decided until now */
export function decisionLine(approval: Approval, before: Approval): string {
  const id = approvalId(approval);
  if (before.decision === approval.decision && before.decidedAtMs !== undefined) {
    return `${id} was ${before.decision} already, on ${formatInstant(before.decidedAtMs)}`;
  }
  return approval.decision === "granted"
    ? `${id} is granted: the agent takes part from its next plan on, within 15 seconds where it runs`
    : `${id} is denied: the agent refuses the run's next plan`;
}

/** For `status`; undefined while nothing waits. */
export function waitingText(waiting: readonly Approval[]): string | undefined {
  if (waiting.length === 0) return undefined;
  const shown = waiting.slice(0, mostNamed).map(approvalId).join(", ");
  const more = waiting.length > mostNamed ? ` and ${waiting.length - mostNamed} more` : "";
  return `${shown}${more}: see 'consilium-agent approvals list'`;
}

const mostNamed = 3;
