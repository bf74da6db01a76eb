import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatInstant,
  formatLoss,
} from "@consilium/shared/terminal/format.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { RoundRecord, RunDetail, RunSummary, SiteProgress } from "../round/progress.js";
import type { SiteSummary } from "../rpc/admin-types.js";
import { figureTable } from "./figure-lines.js";

export function runTable(runs: readonly RunSummary[], nowMs: number): string[] {
  if (runs.length === 0) return ["no runs yet; 'consilium run launch run.yaml' starts one"];
  return tableLines(
    [
      { title: "RUN" },
      { title: "NAME", maxWidth: 32 },
      { title: "METHOD" },
      { title: "MODEL" },
      { title: "STATUS" },
      { title: "ROUNDS", align: "right" },
      { title: "LOSS", align: "right" },
      { title: "CHANGED" },
    ],
    runs.map((run) => [
      run.runId,
      run.name,
      run.method,
      run.model,
      run.status,
      `${run.roundsDone}/${run.roundsTotal}`,
      lossText(run),
      formatAgo(run.updatedAtMs, nowMs),
    ]),
  );
}

export function siteTable(sites: readonly SiteSummary[], nowMs: number): string[] {
  if (sites.length === 0) return ["no sites yet; 'consilium site invite <id>' makes an invitation"];
  return tableLines(
    [
      { title: "SITE" },
      { title: "STATUS" },
      { title: "ATTACHED" },
      { title: "LAST SEEN" },
      { title: "AGENT" },
      { title: "CERTIFICATE UNTIL" },
      { title: "IDENTITY" },
    ],
    sites.map((site) => [
      site.siteId,
      site.status,
      site.attached ? "yes" : "no",
      formatAgo(site.lastSeenMs, nowMs),
      orDash(site.agentVersion),
      formatInstant(site.certificateExpiresMs),
      orDash(groupsOf8(site.identityFingerprint)),
    ]),
  );
}

/** As `consilium-agent join` shows it, to be compared by telephone. */
function groupsOf8(fingerprint: string): string {
  return fingerprint.replaceAll(/(.{8})(?=.)/g, "$1 ");
}

/** A run's facts, then its committed rounds, newest last, and the figures of these. */
export function runDetailLines(detail: RunDetail): string[] {
  const { summary, current } = detail;
  const lines = fieldLines([
    ["run", summary.runId],
    ["name", summary.name],
    ["method", `${summary.method} on ${summary.model}`],
    ["status", statusText(summary)],
    ["rounds", `${summary.roundsDone} of ${summary.roundsTotal}`],
    ["loss", lossText(summary)],
    ["launched", formatInstant(summary.createdAtMs)],
    ["changed", formatInstant(summary.updatedAtMs)],
    ["checkpoint", orDash(summary.checkpointDigest)],
    ...(current === undefined
      ? []
      : [["now", `round ${current.round}, attempt ${current.attempt}: ${current.stage}`] as const]),
    ...(current === undefined || current.waitingFor === "" ? [] : [["waiting", current.waitingFor] as const]),
  ]);
  if (detail.history.length === 0) return lines;
  const figures = figureTable(detail.history);
  return [...lines, "", ...roundTable(detail.history), ...(figures.length === 0 ? [] : ["", ...figures])];
}

function roundTable(history: readonly RoundRecord[]): string[] {
  return tableLines(
    [
      { title: "ROUND", align: "right" },
      { title: "LOSS", align: "right" },
      { title: "SITES", align: "right" },
      { title: "IMAGES", align: "right" },
      { title: "SENT", align: "right" },
      { title: "TIME", align: "right" },
      { title: "ATTEMPTS", align: "right" },
      { title: "CHECKPOINT" },
      { title: "DROPPED" },
    ],
    history.map((record) => [
      String(record.round),
      formatLoss(record.loss),
      String(record.cohort.length),
      String(record.weight),
      formatBytes(record.uploadedBytes),
      formatDuration(record.durationMs),
      String(record.attempts),
      record.checkpointDigest.slice(0, 12),
      record.dropped.map(siteWithReason).join(", "),
    ]),
  );
}

/** Such as "hospital-c (deadline)"; a site without a reason is described by how far it came. */
export function siteWithReason({ siteId, phase, reason }: SiteProgress): string {
  return `${siteId} (${reason === "" ? phase : reason})`;
}

export function statusText({ status, statusReason }: RunSummary): string {
  return statusReason === "" ? status : `${status}: ${statusReason}`;
}

/** The loss of the last committed round; before the first there is none, whatever the message says. */
export function lossText(run: RunSummary): string {
  return formatLoss(run.roundsDone === 0 ? undefined : run.lastLoss);
}

function orDash(text: string): string {
  return text === "" ? "–" : text;
}
