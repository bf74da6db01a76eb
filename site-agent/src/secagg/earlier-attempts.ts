import { verifyIdentity } from "@consilium/shared/identity/identity-key.js";
import type { AbortStatement } from "@consilium/shared/protocol.js";
import { abortsNeeded } from "@consilium/shared/secagg/protocol.js";
import { abortSignatureInput } from "@consilium/shared/secagg/transcript.js";
import type { LedgerAttempt } from "./attempt-ledger.js";
import { contradiction, ProtocolRefusal } from "./refusal.js";

/**
 * A coordinator that finished an attempt in secret could run the next one without one site, and subtract the sums. What
 * this site uploaded before therefore limits what it may enter: specification 1.5, "Abort certificate and attempt ledger".
 */

/** @throws ProtocolRefusal for a statement that comes twice: what `isCertified` verifies is bounded by an attempt's members */
export function requireDistinctAborts(aborts: readonly AbortStatement[]): void {
  const said = new Set(aborts.map(({ siteId, attempt }) => `${attempt} ${siteId}`));
  if (said.size === aborts.length) return;
  throw contradiction("aborts-distinct", "the list of statements about earlier attempts has one of them twice");
}

/** Whether enough of the attempt's own members signed that they never confirm its survivors; of distinct statements. */
export function isCertified(attempt: LedgerAttempt, aborts: readonly AbortStatement[]): boolean {
  const text = abortSignatureInput(Buffer.from(attempt.context, "hex"));
  const signers = new Set<string>();
  for (const { siteId, attempt: about, signature } of aborts) {
    const key = Object.hasOwn(attempt.members, siteId) ? attempt.members[siteId] : undefined;
    if (about !== attempt.attempt || key === undefined || signers.has(siteId)) continue;
    if (verifyIdentity(Buffer.from(key, "hex"), text, signature)) signers.add(siteId);
  }
  return signers.size >= abortsNeeded(Object.keys(attempt.members).length, attempt.colluders);
}

/** @throws ProtocolRefusal when this site uploaded in an unproven attempt without confirming anything */
export function requireNothingOpen(unproven: readonly LedgerAttempt[]): void {
  const open = unproven.find((one) => one.stage === "uploaded");
  if (open === undefined) return;
  const message = `nothing proves that attempt ${open.attempt}, to which this site uploaded, can never be summed`;
  throw new ProtocolRefusal("abort-certificate", message, {
    remedy: "the site takes part again once enough sites of that attempt have said that they gave it up",
  });
}

/** @throws ProtocolRefusal unless each unproven attempt had the same survivors, or others by at least c + 2 sites */
export function requireSafeDifference(
  unproven: readonly LedgerAttempt[],
  survivors: readonly string[],
  colluders: number,
): void {
  for (const { attempt, survivors: before } of unproven) {
    const changed = differenceOf(before, survivors);
    if (changed === 0 || changed >= colluders + 2) continue;
    const message = `the survivors differ by ${changed} from those confirmed in attempt ${attempt}: the sums would tell them apart`;
    throw new ProtocolRefusal("survivors-difference", message, {
      remedy: `wait for the same sites, or for at least ${colluders + 2} others`,
    });
  }
}

/** |a ▵ b| */
function differenceOf(a: readonly string[], b: readonly string[]): number {
  const [inA, inB] = [new Set(a), new Set(b)];
  return a.filter((site) => !inB.has(site)).length + b.filter((site) => !inA.has(site)).length;
}
