import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import type { AuditTrail } from "../audit/audit-log.js";
import { roundOf } from "../audit/round-object.js";
import { datasetId } from "../audit/site-log.js";
import type { DataSettings } from "../data/data-settings.js";
import { type Charged, type PrivacyAccount, type PrivacyPolicy, siteLedgerName } from "../privacy/privacy-account.js";
import { SiteRefusal } from "../refusal.js";
import type { PrivateTraining } from "../trainer/protocol.js";

/** What an attempt pays for of the site's privacy, and when: before the work, and whatever becomes of it. */

export interface Chargeable {
  readonly key: RoundKey;
  readonly config: RunConfig;
  /** Parameters of the checkpoint. */
  readonly dimension: number;
  readonly dp: PrivacyPolicy | undefined;
}

interface Payer {
  readonly privacy: Pick<PrivacyAccount, "chargeTraining" | "chargeUpload">;
  readonly audit: AuditTrail;
  readonly training: { readonly data: DataSettings };
}

/**
 * Pays for the steps of a run that protects patients, before images are read for them.
 * @returns what the trainer may do; undefined for other runs
 * @throws SiteRefusal "dp.maxEpsilon" where the budget does not allow it
 */
export async function chargeTraining(
  { key, config, dp }: Chargeable,
  { privacy, audit, training }: Payer,
): Promise<PrivateTraining | undefined> {
  if (config.privacy.mode !== "patient") return undefined;
  if (dp?.mode !== "patient") throw overBudget();
  const charged = await privacy.chargeTraining(config, dp, key).catch(rethrow);
  record(audit, { key, charged, dataset: datasetId(training.data) });
  return charged.training;
}

/**
 * Pays for the noisy update of a run that protects sites, before anything of it leaves.
 * @throws SiteRefusal "dp.maxEpsilon" where the budget does not allow it
 */
export function chargeUpload({ key, config, dimension, dp }: Chargeable, { privacy, audit }: Payer): void {
  if (config.privacy.mode !== "site") return;
  if (dp?.mode !== "site") throw overBudget();
  try {
    const charged = privacy.chargeUpload(config, dp, { key, dimension });
    record(audit, { key, charged, dataset: siteLedgerName });
  } catch (thrown) {
    rethrow(thrown);
  }
}

function record(audit: AuditTrail, { key, charged, dataset }: { key: RoundKey; charged: Charged; dataset: string }) {
  const object = { ...roundOf(key), dataset, epsilon: charged.epsilon.toFixed(4) };
  audit.record({ action: "privacy.charged", object, corrId: roundKeyText(key) });
}

function rethrow(thrown: unknown): never {
  throw thrown instanceof ConsiliumError && thrown.code === "policy-refused" ? overBudget(thrown) : thrown;
}

function overBudget(cause?: ConsiliumError): SiteRefusal {
  const message = cause?.message ?? "the policy has no budget for this run's privacy";
  return new SiteRefusal("dp.maxEpsilon", message, { cause });
}
