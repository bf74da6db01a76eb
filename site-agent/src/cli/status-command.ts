import { ConsiliumError } from "@consilium/shared/errors.js";
import { formatAgo, formatInstant, formatLoss } from "@consilium/shared/terminal/format.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { lockHolder } from "../agent-lock.js";
import { type Approval, approvalId } from "../approvals/approval.js";
import { ApprovalStore } from "../approvals/approval-store.js";
import { type AgentStatus, readStatus } from "../status-file.js";
import { waitingText } from "./approvals-view.js";
import { workText } from "./run-view.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addStatus(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("status")
    .description("what the agent of this machine does: connection, round, progress; exits with 5 when it does not run")
    .option("--home <dir>", homeHelp)
    .action((options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      const status = readStatus(home.statusJson);
      const running = lockHolder(home.lock) === status.pid;
      const output = outputOf(command, surroundings);
      const waiting = waitingApprovals(new ApprovalStore(home.approvals, surroundings.clock));
      const document = { running, ...status, waitingApprovals: waiting?.map(approvalId) };
      const nowMs = surroundings.clock.now();
      output.result(document, () => statusLines(status, { running, waiting, nowMs }));
      if (!running) throw notRunning(home.root);
    });
  example(command, "consilium-agent status", "consilium-agent status --json");
}

/** Anyone on the machine may read the status, but only the agent's user what runs ask for. */
function waitingApprovals(store: ApprovalStore): Approval[] | undefined {
  try {
    return store.waiting();
  } catch {
    return undefined;
  }
}

interface Circumstances {
  readonly running: boolean;
  /** Undefined where this user may not see them. */
  readonly waiting: readonly Approval[] | undefined;
  readonly nowMs: number;
}

function statusLines(status: AgentStatus, { running, waiting, nowMs }: Circumstances): string[] {
  const approvals = waitingText(waiting ?? []);
  const connection = status.connected ? "connected" : (status.unreachable ?? "not connected");
  return fieldLines([
    ["site", `${status.siteId} of ${status.federation}`],
    ["agent", running ? `running since ${formatInstant(status.startedAtMs)} (process ${status.pid})` : "not running"],
    ["coordinator", `${status.coordinator}: ${running ? connection : "–"}`],
    ...(status.certificate === undefined ? [] : [["certificate", certificateText(status.certificate)] as const]),
    ["work", workText(status)],
    ...(approvals === undefined ? [] : [["to be approved", approvals] as const]),
    ["engine", engineText(status)],
    ["rounds done", `${status.roundsDone} since it was started`],
    ["loss", formatLoss(status.loss)],
    ["metrics", status.metrics ?? "–"],
    ["as of", formatAgo(status.updatedAtMs, nowMs)],
  ]);
}

function certificateText({ notAfterMs, failing }: NonNullable<AgentStatus["certificate"]>): string {
  const validity = `valid until ${formatInstant(notAfterMs)}`;
  if (failing === undefined) return validity;
  return `${validity}; cannot be renewed since ${formatInstant(failing.sinceMs)}: ${failing.reason}`;
}

function engineText({ engine }: AgentStatus): string {
  if (engine === undefined) return "–";
  const { device, precision, reason, cache, compileMs } = engine;
  const origin = cache === "hit" ? "from the cache" : "compiled";
  return `${device}, ${precision} (${reason}); step ${origin} in ${(compileMs / 1000).toFixed(1)} s`;
}

function notRunning(home: string): ConsiliumError {
  return new ConsiliumError("unreachable", `no agent runs in ${home}; the above is what the last one left`, {
    remedy: "start it with 'consilium-agent run'",
  });
}
