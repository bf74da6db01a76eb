import { z } from "zod";
import { batchCoupling } from "./batch-coupling.js";
import type { MethodConfig } from "./method-config.js";
import type { ModelConfig } from "./model-config.js";

/** Differential privacy of a run: whom its noise hides. */

const positive = z.number().positive();

/** Either the noise is given, or what it is to achieve. */
const noise = {
  /** Of the guarantee that is predicted, and that `epsilon` asks for; well below one over the number that is protected. */
  delta: z.number().gt(0).lt(0.1),
  /** Of the whole run: the noise follows from it. */
  epsilon: positive.max(1000).optional(),
  /** σ: the noise's standard deviation over the clip. */
  noiseMultiplier: positive.max(1e6).optional(),
};

const none = z.strictObject({ mode: z.literal("none") });

/**
 * Each site's steps are those of DP-SGD (Abadi et al. 2016): `training.batchSize` is how many patients a step draws on
 * average, each by chance of its own.
 */
const patient = z.strictObject({
  mode: z.literal("patient"),
  ...noise,
  /** Largest L2 norm of one patient's gradient. */
  clip: positive,
  /** A site with fewer patients takes no part: it would give each of them less protection. */
  leastPatients: z.number().int().positive(),
  /** Images of a patient that a step looks at; of one who has fewer, some are seen twice. */
  imagesPerPatient: z.number().int().positive().max(64).default(1),
});

/**
 * Each site adds its share of Skellam noise to its update before it masks it (Agarwal, Kairouz and Liu 2021): the model
 * tells little of whether a site's images were trained on at all.
 */
const site = z.strictObject({
  mode: z.literal("site"),
  ...noise,
  /** Largest L2 norm of a site's whole update. */
  clip: positive.max(1e6),
  /**
   * The most that the run may ever spend, lost attempts included; absent: what its rounds cost if none is lost. More
   * leaves room for lost attempts.
   */
  maxEpsilon: positive.optional(),
});

export const privacySchema = z.discriminatedUnion("mode", [none, patient, site], {
  error: "use none (the default), patient or site",
});

export type PrivacyConfig = z.output<typeof privacySchema>;
export type PrivacyMode = PrivacyConfig["mode"];
export type PatientPrivacy = Extract<PrivacyConfig, { mode: "patient" }>;
export type SitePrivacy = Extract<PrivacyConfig, { mode: "site" }>;

interface PrivateRun {
  readonly model: ModelConfig;
  readonly method: MethodConfig;
  readonly training: { readonly batchSize: number; readonly microBatches?: number | undefined };
  readonly monitor: { readonly collapse: "pause" | "off" };
  readonly privacy: PrivacyConfig;
  readonly aggregation: { readonly batchStatistics: "local" | "average" };
}

type Refuse = (path: string[], message: string) => void;

/** What a private run cannot be. */
export function checkPrivacy(run: PrivateRun, refuse: Refuse): void {
  const { method, monitor, privacy } = run;
  if (privacy.mode === "none") return;
  const { epsilon, noiseMultiplier } = privacy;
  if ((epsilon === undefined) === (noiseMultiplier === undefined)) {
    refuse(["privacy", "epsilon"], "give either epsilon, which the noise follows from, or noiseMultiplier");
  }
  if (monitor.collapse === "pause") {
    refuse(["monitor", "collapse"], "must be off: no figure of the images travels in a private run");
  }
  if (method.name === "clusters") {
    refuse(["privacy", "mode"], "must be none: a run of clusters has no steps and no update to add noise to");
    return;
  }
  if (privacy.mode === "patient") checkPatients(run, privacy, refuse);
  else checkSites(run, privacy, refuse);
}

function checkSites({ aggregation }: PrivateRun, { epsilon, maxEpsilon }: SitePrivacy, refuse: Refuse): void {
  if (epsilon !== undefined && maxEpsilon !== undefined && maxEpsilon < epsilon) {
    refuse(["privacy", "maxEpsilon"], `is less than epsilon ${epsilon}, so that not all rounds could be run`);
  }
  if (aggregation.batchStatistics === "average") {
    refuse(["aggregation", "batchStatistics"], "must be local in mode site: noise would make variances negative");
  }
}

function checkPatients({ model, method, training }: PrivateRun, privacy: PatientPrivacy, refuse: Refuse): void {
  const coupling = batchCoupling({ model, method });
  if (coupling !== undefined) {
    refuse(["privacy", "mode"], `cannot be patient: ${method.name} ${coupling}`);
  }
  if (training.microBatches !== undefined) {
    refuse(["training", "microBatches"], "has no meaning in mode patient: each patient is differentiated alone");
  }
  if (training.batchSize > privacy.leastPatients) {
    const patients = `of ${privacy.leastPatients} patients, a step cannot draw`;
    refuse(["training", "batchSize"], `${patients} ${training.batchSize} on average`);
  }
}
