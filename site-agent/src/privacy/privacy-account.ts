import { type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type LedgerEntry, spent } from "@consilium/shared/privacy/ledger.js";
import { patientMechanism } from "@consilium/shared/privacy/prediction.js";
import { orderGridVersion } from "@consilium/shared/privacy/rdp.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import type { Policy } from "../policy.js";
import type { PrivateTraining } from "../trainer/protocol.js";
import type { LedgerStore } from "./ledger-store.js";

export type PrivacyPolicy = NonNullable<Policy["dp"]>;

/** What the site knows of a private run before it begins. */
export interface PrivacyFacts {
  /** Patients of the site. */
  readonly patients: number;
  /** ε of everything that was ever charged on these images, and of what is left of the run. */
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
   * @param firstStep global step that the run goes on from
   * @returns undefined for a run without privacy, or where the policy has no budget
   * @throws ConsiliumError "config-invalid" where images do not say whose they are, "input-unreadable" for a damaged ledger
   */
  async assess(config: RunConfig, dp: PrivacyPolicy | undefined, firstStep: number): Promise<PrivacyFacts | undefined> {
    if (config.privacy.mode === "none" || dp === undefined) return undefined;
    const patients = await this.#options.countPatients();
    const ledger = this.#ledger(dp);
    const rest = { ...stepOf(config, patients), id: "the-rest-of-the-run", steps: totalSteps(config) - firstStep };
    return { patients, epsilonAfter: spent({ ...ledger, entries: [...ledger.entries, rest] }).epsilon };
  }

  /**
   * Charges the steps of one round of a run that is private by patient.
   * @returns what the trainer may do for it
   * @throws ConsiliumError "policy-refused" over the budget, "storage"
   */
  async chargeTraining(
    config: RunConfig,
    dp: PrivacyPolicy,
    key: RoundKey,
  ): Promise<Charged & { readonly training: PrivateTraining }> {
    const step = stepOf(config, await this.#options.countPatients());
    const { noiseMultiplier, samplingRate } = step;
    const charged = this.#charge({ ...step, id: roundKeyText(key), steps: config.training.stepsPerRound }, dp);
    const most = dp.perPatientMaxImages;
    const training = { noiseMultiplier, samplingRate, ...(most === undefined ? {} : { mostImagesPerPatient: most }) };
    return { ...charged, training };
  }

  #charge(entry: LedgerEntry, dp: PrivacyPolicy): Charged {
    const after = this.#options.ledgers.charge(this.#ledger(dp), entry);
    return { epsilon: spent(after).epsilon };
  }

  #ledger({ maxEpsilon, delta }: PrivacyPolicy) {
    return this.#options.ledgers.read(this.#options.dataSet, { epsilon: maxEpsilon, delta });
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
