import type { ErrorCode } from "@consilium/shared/errors.js";
import type { Telemetry } from "@consilium/shared/telemetry.js";
import type { CertificateTimes } from "./certificates/certificate-keeper.js";
import type { RoundObserver } from "./round/ports.js";

export interface CoordinatorMetrics {
  /** What the rounds report. */
  readonly observer: RoundObserver;
  readonly rejected: (method: string, code: ErrorCode) => void;
  readonly answered: (method: string, code: ErrorCode | "ok" | "cancelled", durationMs: number) => void;
  readonly attachedSites: (count: number) => void;
  readonly uploads: (counts: { readonly received: number; readonly waiting: number }) => void;
  /** Tells where to read how much is held of messages that are not whole. */
  readonly partialBytes: (read: () => number) => void;
  /** Tells where to read how long certificates and lists are good for. */
  readonly certificates: (times: () => CertificateTimes) => void;
}

/** From a stage among test sites to a night of training. */
const stageBuckets = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600];
const callBuckets = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600, 3600];

/** Every metric of the coordinator. None is labelled by site: who does what is the sites' own affair. */
export function createMetrics(telemetry: Telemetry): CoordinatorMetrics {
  return {
    observer: roundMetrics(telemetry),
    ...callMetrics(telemetry),
    ...siteMetrics(telemetry),
    ...loadMetrics(telemetry),
    ...certificateMetrics(telemetry),
  };
}

function roundMetrics(telemetry: Telemetry): RoundObserver {
  const rounds = telemetry.counter({
    name: "consilium_coordinator_rounds_total",
    help: "Attempts at rounds that ended, by outcome.",
    labels: ["outcome"],
  });
  const participants = telemetry.gauge({
    name: "consilium_coordinator_round_participants",
    help: "Sites in the newest round: selected while it runs, in the sum once it is committed.",
  });
  const drops = telemetry.counter({
    name: "consilium_coordinator_site_drops_total",
    help: "Sites that left an attempt, by reason.",
    labels: ["reason"],
  });
  const uploads = telemetry.counter({
    name: "consilium_coordinator_upload_bytes_total",
    help: "Masked bytes received from sites.",
  });
  const stages = telemetry.histogram({
    name: "consilium_coordinator_stage_duration_seconds",
    help: "How long a stage of a round took until it closed.",
    labels: ["stage"],
    buckets: stageBuckets,
  });
  const loss = telemetry.gauge({
    name: "consilium_coordinator_round_loss",
    help: "Training loss of the newest committed round, mean over the cohort's images.",
  });
  const figures = telemetry.gauge({
    name: "consilium_coordinator_round_figure",
    help: "What the newest committed round's figures are over the cohort, by name: terms of the method, norms, cosine.",
    labels: ["figure"],
  });
  const paused = telemetry.counter({
    name: "consilium_coordinator_runs_paused_total",
    help: "Runs that paused by themselves, by cause.",
    labels: ["cause"],
  });
  for (const cause of ["lost-attempts", "collapse", "privacy-budget"]) paused.inc({ cause }, 0);
  const progress = telemetry.gauge({
    name: "consilium_coordinator_run_progress_ratio",
    help: "Share of the active run's rounds that are committed.",
  });
  return {
    roundEnded: (outcome) => rounds.inc({ outcome }),
    roundCommitted: (facts) => {
      loss.set(facts.loss);
      participants.set(facts.participants);
      progress.set(facts.progress);
      figures.reset();
      for (const [figure, value] of Object.entries(facts.figures)) figures.set({ figure }, value);
    },
    runPaused: (cause) => paused.inc({ cause }),
    cohortSelected: (count) => participants.set(count),
    stageClosed: (stage, durationMs) => stages.observe({ stage }, durationMs / 1000),
    siteDropped: (reason) => drops.inc({ reason }),
    uploadStored: (bytes) => uploads.inc(bytes),
  };
}

function callMetrics(telemetry: Telemetry): Pick<CoordinatorMetrics, "rejected" | "answered"> {
  const rejected = telemetry.counter({
    name: "consilium_coordinator_rejected_inputs_total",
    help: "Calls and connections that were refused, by method and error code.",
    labels: ["method", "code"],
  });
  const durations = telemetry.histogram({
    name: "consilium_coordinator_call_duration_seconds",
    help: "How long calls took; a stage's call lasts until the stage closes.",
    labels: ["method", "outcome"],
    buckets: callBuckets,
  });
  return {
    rejected: (method, code) => rejected.inc({ method: shortMethod(method), code }),
    answered: (method, outcome, durationMs) =>
      durations.observe({ method: shortMethod(method), outcome }, durationMs / 1000),
  };
}

function siteMetrics(telemetry: Telemetry): Pick<CoordinatorMetrics, "attachedSites"> {
  const attached = telemetry.gauge({
    name: "consilium_coordinator_attached_sites",
    help: "Sites with an open stream.",
  });
  return { attachedSites: (count) => attached.set(count) };
}

function loadMetrics(telemetry: Telemetry): Pick<CoordinatorMetrics, "uploads" | "partialBytes"> {
  const uploads = telemetry.gauge({
    name: "consilium_coordinator_uploads",
    help: "Uploads that are received now, and that wait for their turn.",
    labels: ["state"],
  });
  const show = ({ received, waiting }: { readonly received: number; readonly waiting: number }) => {
    uploads.set({ state: "received" }, received);
    uploads.set({ state: "waiting" }, waiting);
  };
  show({ received: 0, waiting: 0 });
  return {
    uploads: show,
    partialBytes: (read) => {
      telemetry.gauge({
        name: "consilium_coordinator_partial_message_bytes",
        help: "Memory that holds messages of which the rest has not come yet.",
        read: (gauge) => gauge.set(read()),
      });
    },
  };
}

function certificateMetrics(telemetry: Telemetry): Pick<CoordinatorMetrics, "certificates"> {
  return {
    certificates: (times) => {
      telemetry.gauge({
        name: "consilium_coordinator_certificate_expiry_seconds",
        help: "Seconds until the coordinator's certificate, its lists of revoked certificates and its authority expire.",
        labels: ["certificate"],
        read: (gauge, nowMs) => {
          const { certificate, revocationLists, authority } = times();
          gauge.set({ certificate: "coordinator" }, (certificate - nowMs) / 1000);
          gauge.set({ certificate: "revocation-list" }, (revocationLists - nowMs) / 1000);
          gauge.set({ certificate: "authority" }, (authority - nowMs) / 1000);
        },
      });
    },
  };
}

/** Paths come from callers, who must not be able to make a new time series with each call. */
function shortMethod(path: string): string {
  if (path === "tls") return path;
  return /^\/consilium\.v1\.[A-Za-z]{1,40}\/[A-Za-z]{1,40}$/.test(path)
    ? path.slice("/consilium.v1.".length)
    : "unknown";
}
