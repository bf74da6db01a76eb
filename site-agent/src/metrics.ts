import type { ErrorCode } from "@consilium/shared/errors.js";
import { termNames } from "@consilium/shared/secagg/figures.js";
import type { Telemetry } from "@consilium/shared/telemetry.js";
import { egressKinds } from "./audit/audit-entry.js";
import type { EgressKind } from "./audit/egress-record.js";
import type { CertificateState } from "./certificate-renewal.js";
import type { ParticipantState, Work } from "./round/state.js";
import type { Prepared, TrainedRound, TrainProgress } from "./trainer/protocol.js";

/** Everything that the agent counts. Stays at the site: loss and counts of one site are nobody else's business. */
export interface AgentMetrics {
  connected(connected: boolean): void;
  certificate(state: CertificateState): void;
  sent(bytes: number): void;
  received(bytes: number): void;
  /** A message of this kind went to the connection. */
  left(kind: EgressKind, bytes: number): void;
  /** A directive that could not be trusted or read. */
  rejected(code: ErrorCode): void;
  /** A state that ends a round for this site is counted as its outcome. */
  state(state: ParticipantState): void;
  prepared(prepared: Prepared): void;
  progress(progress: TrainProgress): void;
  trained(trained: TrainedRound): void;
  refused(clause: string): void;
  /** A roster came that is not followed. */
  rosterRefused(fault: string): void;
  /** A message of an attempt did not pass this check of the site's. */
  failedCheck(check: string): void;
  worked(work: Work, durationMs: number): void;
}

const stageBuckets = [0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 28_800];
const outcomes = ["done", "refused", "failed", "left"] as const;

export function agentMetrics(telemetry: Telemetry): AgentMetrics {
  const connected = telemetry.gauge({
    name: "consilium_agent_connected",
    help: "1 while the agent is attached to the coordinator.",
  });
  let certificate: CertificateState | undefined;
  telemetry.gauge({
    name: "consilium_agent_certificate_expiry_seconds",
    help: "Seconds until this site's certificate expires.",
    read: (gauge, nowMs) => certificate && gauge.set((certificate.notAfterMs - nowMs) / 1000),
  });
  const renewalFails = telemetry.gauge({
    name: "consilium_agent_certificate_renewal_failing",
    help: "1 while the certificate should have been renewed and could not be.",
  });
  const sent = telemetry.counter({
    name: "consilium_agent_sent_bytes_total",
    help: "Bytes of masked updates sent.",
  });
  const received = telemetry.counter({
    name: "consilium_agent_received_bytes_total",
    help: "Bytes of checkpoints received.",
  });
  const left = telemetry.counter({
    name: "consilium_agent_egress_bytes_total",
    help: "Bytes of every message that left this site, by kind.",
    labels: ["kind"],
  });
  const rounds = telemetry.counter({
    name: "consilium_agent_rounds_total",
    help: "Attempts at rounds that ended for this site, by outcome.",
    labels: ["outcome"],
  });
  const refusals = telemetry.counter({
    name: "consilium_agent_refusals_total",
    help: "Plans that this site refused, by the clause of its policy or schedule.",
    labels: ["clause"],
  });
  const rosters = telemetry.counter({
    name: "consilium_agent_rosters_refused_total",
    help: "Rosters that this site does not follow, by fault.",
    labels: ["fault"],
  });
  const rejected = telemetry.counter({
    name: "consilium_agent_rejected_inputs_total",
    help: "Directives that were ignored because they could not be trusted or read, by code.",
    labels: ["code"],
  });
  const failedChecks = telemetry.counter({
    name: "consilium_agent_failed_checks_total",
    help: "Messages of an attempt that did not pass one of this site's checks, by check.",
    labels: ["check"],
  });
  const work = telemetry.histogram({
    name: "consilium_agent_stage_duration_seconds",
    help: "Time from the beginning to the end of a stage at this site, waiting for the other sites included.",
    labels: ["stage"],
    buckets: stageBuckets,
  });
  const throughput = telemetry.gauge({
    name: "consilium_agent_training_images_per_second",
    help: "Images trained on per second in the current or last round.",
  });
  const queue = telemetry.gauge({
    name: "consilium_agent_batches_ready",
    help: "Batches that lay ready when the latest was asked for; 0 while training waits for images.",
  });
  const loss = telemetry.gauge({
    name: "consilium_agent_training_loss",
    help: "Loss of the latest local step; never leaves this site unmasked.",
  });
  const terms = telemetry.gauge({
    name: "consilium_agent_training_term",
    help: "Terms of the method in the latest local step, by name; only sums over the cohort leave this site.",
    labels: ["term"],
  });
  const steps = telemetry.gauge({
    name: "consilium_agent_training_steps",
    help: "Local steps done in the current round.",
  });
  const samples = telemetry.gauge({
    name: "consilium_agent_usable_images",
    help: "Images of this site that the last round trained from.",
  });
  const quarantined = telemetry.gauge({
    name: "consilium_agent_quarantined_images",
    help: "Images left out of the last round because they could not be read, by reason.",
    labels: ["reason"],
  });
  const engine = telemetry.gauge({
    name: "consilium_agent_engine_info",
    help: "1 for the device and the precision that the current or last run trains with.",
    labels: ["device", "precision"],
  });
  const compiling = telemetry.gauge({
    name: "consilium_agent_compile_seconds",
    help: "Time until the step of the current or last run could be taken, from the cache or compiled anew.",
  });
  const hits = telemetry.counter({
    name: "consilium_agent_program_cache_hits_total",
    help: "Compiled programs that were taken from the cache.",
  });
  const misses = telemetry.counter({
    name: "consilium_agent_program_cache_misses_total",
    help: "Programs that the cache did not have, or not whole, and that were compiled.",
  });
  const damaged = telemetry.counter({
    name: "consilium_agent_program_cache_damaged_total",
    help: "Files of the cache that could not be used and were removed.",
  });
  connected.set(0);
  for (const kind of egressKinds) left.inc({ kind }, 0);
  for (const outcome of outcomes) rounds.inc({ outcome }, 0);
  return {
    connected: (is) => connected.set(is ? 1 : 0),
    certificate(state) {
      certificate = state;
      renewalFails.set(state.failing === undefined ? 0 : 1);
    },
    sent: (bytes) => sent.inc(bytes),
    received: (bytes) => received.inc(bytes),
    left: (kind, bytes) => left.inc({ kind }, bytes),
    rejected: (code) => rejected.inc({ code }),
    failedCheck: (check) => failedChecks.inc({ check }),
    state({ kind }) {
      const outcome = outcomes.find((known) => known === kind);
      if (outcome !== undefined) rounds.inc({ outcome });
    },
    prepared({ device, precision, compileMs, cache }) {
      engine.reset();
      engine.set({ device, precision }, 1);
      compiling.set(compileMs / 1000);
      if (cache === "hit") hits.inc();
      if (cache === "miss" || cache === "damaged") misses.inc();
      if (cache === "damaged") damaged.inc();
    },
    progress(progress) {
      steps.set(progress.step);
      if (progress.loss !== undefined) loss.set(progress.loss);
      if (progress.phase === "preparing") terms.reset();
      // From a fixed list, so that there are not more time series than that.
      for (const term of termNames) {
        const value = progress.terms?.[term];
        if (value !== undefined) terms.set({ term }, value);
      }
      if (progress.batchesReady !== undefined) queue.set(progress.batchesReady);
      if (progress.imagesPerSecond !== undefined) throughput.set(progress.imagesPerSecond);
    },
    trained(trained) {
      throughput.set(trained.imagesPerSecond);
      samples.set(trained.sampleCount);
      quarantined.reset();
      for (const [reason, count] of Object.entries(trained.skipped)) quarantined.set({ reason }, count);
    },
    refused: (clause) => refusals.inc({ clause }),
    rosterRefused: (fault) => rosters.inc({ fault }),
    worked: (stage, durationMs) => work.observe({ stage }, durationMs / 1000),
  };
}
