import { type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type LedgerEntry, spent } from "@consilium/shared/privacy/ledger.js";
import { patientMechanism } from "@consilium/shared/privacy/prediction.js";
import { orderGridVersion } from "@consilium/shared/privacy/rdp.js";
import { siteMechanism } from "@consilium/shared/privacy/site-mechanism.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import type { Policy } from "../policy.js";
import type { PrivateTraining } from "../trainer/protocol.js";
import type { LedgerStore } from "./ledger-store.js";

export type PrivacyPolicy = NonNullable<Policy["dp"]>;
type PatientPolicy = Extract<PrivacyPolicy, { mode: "patient" }>;
type SitePolicy = Extract<PrivacyPolicy, { mode: "site" }>;

/** What the site knows of a private run before it begins. */
export interface PrivacyFacts {
  /** Patients of the site; not counted where the run hides sites. */
  readonly patients?: number;
  /** ε of everything that was ever charged here, and of what is left of the run. */
  readonly epsilonAfter: number;
}

export interface PrivacyAccountOptions {
  readonly ledgers: LedgerStore;
  /** As the audit log names the images. */
  readonly dataSet: string;
  readonly countPatients: () => Promise<number>;
}

/** What a charge bought. */
export interface Charged {
  /** ε of the whole history, this release included. */
  readonly epsilon: number;
}

/** The ledger of the site as a whole: one, whichever images a run reads. No data set has this name. */
export const siteLedgerName = "site";

/**
 * What a site spends of its patients' privacy, and what is left. Work is charged before images are read for it, under
 * the attempt that asks for it: whatever becomes of the attempt, it has been paid for.
 */
export class PrivacyAccount {
  readonly #options: PrivacyAccountOptions;

  constructor(options: PrivacyAccountOptions) {
    this.#options = options;
  }

  /**
   * @param at `firstStep`: global step that the run goes on from; `dimension`: parameters of the checkpoint
   * @returns undefined for a run without privacy, or where the policy has no budget
   * @throws ConsiliumError "config-invalid" where images do not say whose they are, "input-unreadable" for a damaged ledger
   */
  async assess(
    config: RunConfig,
    dp: PrivacyPolicy | undefined,
    { firstStep, dimension }: { readonly firstStep: number; readonly dimension: number },
  ): Promise<PrivacyFacts | undefined> {
    // Of another mode than the policy's, a run is refused anyway.
    if (dp === undefined || config.privacy.mode !== dp.mode) return undefined;
    const ledger = this.#ledger(dp);
    const epsilonWith = (rest: LedgerEntry) => {
      return spent({ ...ledger, entries: [...ledger.entries, { ...rest, id: "the-rest-of-the-run" }] }).epsilon;
    };
    if (dp.mode === "site") {
      const steps = config.rounds - firstStep / config.training.stepsPerRound;
      return { epsilonAfter: epsilonWith({ ...roundOf(config, dimension), steps }) };
    }
    const patients = await this.#options.countPatients();
    const steps = totalSteps(config) - firstStep;
    return { patients, epsilonAfter: epsilonWith({ ...stepOf(config, patients), steps }) };
  }

  /**
   * Charges the steps of one round of a run that is private by patient.
   * @returns what the trainer may do for it
   * @throws ConsiliumError "policy-refused" over the budget, "storage"
   */
  async chargeTraining(
    config: RunConfig,
    dp: PatientPolicy,
    key: RoundKey,
  ): Promise<Charged & { readonly training: PrivateTraining }> {
    const step = stepOf(config, await this.#options.countPatients());
    const { noiseMultiplier, samplingRate } = step;
    const charged = this.#charge({ ...step, id: roundKeyText(key), steps: config.training.stepsPerRound }, dp);
    const most = dp.perPatientMaxImages;
    const training = { noiseMultiplier, samplingRate, ...(most === undefined ? {} : { mostImagesPerPatient: most }) };
    return { ...charged, training };
  }

  /**
   * Charges one noisy upload of a run that hides sites.
   * @param dimension parameters of the checkpoint
   * @throws ConsiliumError "policy-refused" over the budget, "storage"
   */
  chargeUpload(config: RunConfig, dp: SitePolicy, { key, dimension }: { key: RoundKey; dimension: number }): Charged {
    return this.#charge({ ...roundOf(config, dimension), id: roundKeyText(key) }, dp);
  }

  #charge(entry: LedgerEntry, dp: PrivacyPolicy): Charged {
    const after = this.#options.ledgers.charge(this.#ledger(dp), entry);
    return { epsilon: spent(after).epsilon };
  }

  #ledger({ mode, maxEpsilon, delta }: PrivacyPolicy) {
    const name = mode === "site" ? siteLedgerName : this.#options.dataSet;
    return this.#options.ledgers.read(name, { epsilon: maxEpsilon, delta }, mode);
  }
}

/** One step of a run at this site. */
function stepOf(config: RunConfig, patients: number) {
  const { privacy } = config;
  if (privacy.mode !== "patient") {
    throw new ConsiliumError("internal", "a run was to be charged for privacy that it does not have");
  }
  const { noiseMultiplier } = patientMechanism(config, privacy);
  // With fewer patients than a step draws, the run is refused.
  const samplingRate = Math.min(1, config.training.batchSize / Math.max(1, patients));
  const common = { id: "step", orderGrid: orderGridVersion, steps: 1 } as const;
  return { ...common, mechanism: "sampled-gaussian", noiseMultiplier, samplingRate } satisfies LedgerEntry;
}

/** One round of a run that hides sites, as the ledger has it. */
function roundOf(config: RunConfig, dimension: number) {
  const { privacy } = config;
  if (privacy.mode !== "site") {
    throw new ConsiliumError("internal", "a run was to be charged for privacy that it does not have");
  }
  const round = siteMechanism(config, privacy, dimension);
  return { ...round, id: "round", mechanism: "skellam", orderGrid: orderGridVersion, steps: 1 } satisfies LedgerEntry;
}
