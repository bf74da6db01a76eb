import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import {
  formatBytes,
  formatDuration,
  formatLoss,
  percentBar,
  sparkline,
  timeLeftMs,
} from "@consilium/shared/terminal/format.js";
import type { LiveFrame } from "@consilium/shared/terminal/live.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { RoundProgress, RoundRecord, RunDetail, SiteProgress } from "../round/progress.js";
import { figureGlance } from "./figure-lines.js";
import { siteWithReason, statusText } from "./run-lines.js";

export interface FrameOptions {
  readonly nowMs: number;
  /** Rounds committed before watching began; a log leaves them out. */
  readonly seenRounds: number;
}

/** One moment of a run: the full picture for a terminal, and the lines a log should say once. */
export function watchFrame(detail: RunDetail, options: FrameOptions): LiveFrame {
  return { lines: pictureLines(detail, options.nowMs), summary: summaryLines(detail, options.seenRounds) };
}

/** The round that goes on; none between a commit and the next selection. */
function openRound({ current, history }: RunDetail): RoundProgress | undefined {
  return current === undefined || history.some((record) => record.round === current.round) ? undefined : current;
}

function pictureLines(detail: RunDetail, nowMs: number): string[] {
  const { summary, history } = detail;
  const current = openRound(detail);
  const left = runTimeLeftMs(detail, nowMs);
  const bar = percentBar(shareDone(detail), 24);
  return [
    `${summary.name}  ${summary.method} on ${summary.model}  ${summary.runId}`,
    `${bar}  ${summary.roundsDone} of ${summary.roundsTotal} rounds${left === undefined ? "" : `, about ${formatDuration(left)} left`}`,
    ...fieldLines([
      ["status", statusText(summary)],
      ...(current === undefined ? [] : progressFields(current, nowMs)),
      ["loss", lossCourse(history)],
      ...figureField(history.at(-1)),
      ["sent", `${formatBytes(sentBytes(detail))} masked`],
    ]),
    ...(current === undefined || current.sites.length === 0
      ? []
      : ["", ...siteLines(current.sites, detail.configJson)]),
  ];
}

function progressFields(current: RoundProgress, nowMs: number): (readonly [string, string])[] {
  const attempt = current.attempt > 1 ? `, attempt ${current.attempt}` : "";
  const leftMs = current.deadlineMs - nowMs;
  const deadline = current.deadlineMs === 0 ? "" : `, ${deadlineText(leftMs)}`;
  return [
    ["now", `round ${current.round}: ${current.stage}${attempt}${deadline}`],
    ...(current.waitingFor === "" ? [] : [["waiting", current.waitingFor] as const]),
  ];
}

function deadlineText(leftMs: number): string {
  return leftMs > 0 ? `at most ${formatDuration(leftMs)} more` : "deadline reached";
}

function siteLines(sites: readonly SiteProgress[], configJson: string): string[] {
  const steps = stepsPerRound(configJson);
  return tableLines(
    [
      { title: "SITE" },
      { title: "PHASE" },
      { title: "STEPS", align: "right" },
      { title: "SENT", align: "right" },
      { title: "REASON" },
    ],
    sites.map((site) => [
      site.siteId,
      site.phase,
      steps === undefined ? String(site.stepsDone) : `${site.stepsDone}/${steps}`,
      site.uploadedBytes === 0 ? "–" : formatBytes(site.uploadedBytes),
      site.reason,
    ]),
  );
}

/** Of the newest committed round. */
function figureField(record: RoundRecord | undefined): (readonly [string, string])[] {
  const glance = record === undefined ? "" : figureGlance(record);
  return glance === "" ? [] : [["figures", glance]];
}

function lossCourse(history: readonly RoundRecord[]): string {
  const losses = history.map((record) => record.loss);
  if (losses.length === 0) return "after the first round";
  const last = formatLoss(losses.at(-1));
  return losses.length === 1 ? last : `${sparkline(losses)}  ${formatLoss(losses[0])} → ${last}`;
}

function sentBytes(detail: RunDetail): number {
  const { history } = detail;
  const now = openRound(detail)?.sites.reduce((sum, site) => sum + site.uploadedBytes, 0) ?? 0;
  return history.reduce((sum, record) => sum + record.uploadedBytes, now);
}

function summaryLines(detail: RunDetail, seenRounds: number): string[] {
  const { summary, history } = detail;
  const current = openRound(detail);
  const committed = history.slice(seenRounds).map((_, index) => recordLine(detail, seenRounds + index));
  return [
    ...committed,
    ...(current === undefined ? [] : currentLines(current)),
    `run ${summary.name} (${summary.runId}) is ${statusText(summary)}`,
  ];
}

function currentLines(current: RoundProgress): string[] {
  const attempt = current.attempt > 1 ? ` (attempt ${current.attempt})` : "";
  const name = `round ${current.round}${attempt}`;
  const troubled = current.sites.filter((site) => ["refused", "failed", "dropped"].includes(site.phase));
  return [
    `${name}: ${current.stage}`,
    ...(current.waitingFor === "" ? [] : [`${name}: waiting for ${current.waitingFor}`]),
    ...troubled.map((site) => `${name}: ${site.siteId} ${site.phase}${site.reason === "" ? "" : `: ${site.reason}`}`),
  ];
}

/** A committed round in one line that never changes, so that a log says it once. */
function recordLine(detail: RunDetail, index: number): string {
  const record = detail.history[index]!;
  const done = detail.history.slice(0, index + 1);
  const total = detail.summary.roundsTotal;
  const left = timeLeftMs({ done: done.length, total, elapsedMs: totalDurationMs(done) });
  const dropped = record.dropped.map((site) => `, without ${siteWithReason(site)}`).join("");
  const figures = figureGlance(record);
  return [
    `round ${record.round} of ${total} done: loss ${formatLoss(record.loss)}`,
    `, ${record.weight} images, ${formatBytes(record.uploadedBytes)}, ${formatDuration(record.durationMs)}${dropped}`,
    figures === "" ? "" : `; ${figures}`,
    left === undefined || left === 0 ? "" : `; about ${formatDuration(left)} left`,
  ].join("");
}

function totalDurationMs(history: readonly RoundRecord[]): number {
  return history.reduce((sum, record) => sum + record.durationMs, 0);
}

const recentRounds = 5;

/** From the mean of the last rounds; undefined before the first is done and once the run has ended. */
export function runTimeLeftMs(detail: RunDetail, nowMs: number): number | undefined {
  const { summary, history } = detail;
  const current = openRound(detail);
  if (summary.status !== "running" || history.length === 0) return undefined;
  const recent = history.slice(-recentRounds);
  const meanMs = totalDurationMs(recent) / recent.length;
  const spentMs = current === undefined ? 0 : Math.min(meanMs, Math.max(0, nowMs - current.startedAtMs));
  return meanMs * Math.max(0, summary.roundsTotal - summary.roundsDone) - spentMs;
}

/** Training is most of a round; the masking stages after it share the last tenth. */
const trainingShare = 0.9;

/** Share of the whole run that is done, counting the steps of the round that is going on. */
export function shareDone(detail: RunDetail): number {
  const { summary, configJson } = detail;
  if (summary.roundsTotal === 0) return 0;
  const current = openRound(detail);
  const inRound = current === undefined || summary.status !== "running" ? 0 : roundShare(current, configJson);
  return Math.min(1, (summary.roundsDone + inRound) / summary.roundsTotal);
}

function roundShare(current: RoundProgress, configJson: string): number {
  if (current.stage === "selecting") return 0;
  if (current.stage !== "training") return trainingShare;
  const steps = stepsPerRound(configJson);
  const active = current.sites.filter((site) => !["refused", "failed", "dropped"].includes(site.phase));
  if (steps === undefined || active.length === 0) return 0;
  const mean = active.reduce((sum, site) => sum + Math.min(1, site.stepsDone / steps), 0) / active.length;
  return mean * trainingShare;
}

function stepsPerRound(configJson: string): number | undefined {
  const parsed = runConfigSchema.safeParse(parseJson(configJson));
  return parsed.success ? parsed.data.training.stepsPerRound : undefined;
}

/** The document, or undefined when a coordinator of another version sends something that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
