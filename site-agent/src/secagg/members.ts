import type { KeyAdvert } from "@consilium/shared/protocol.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import type { RequiredPeers } from "./plan-facts.js";
import { contradiction, ProtocolRefusal } from "./refusal.js";

/**
 * Every advert is that of an active site of the roster, under the key that stands there; what the coordinator's certificate
 * authority says of it is of no account.
 * @throws ProtocolRefusal naming the first site that is none
 */
export function requireMembers(adverts: readonly KeyAdvert[], members: ReadonlyMap<string, Uint8Array>): void {
  for (const { siteId, identityPublicKey } of adverts) {
    const listed = members.get(siteId);
    if (listed !== undefined && sameBytes(listed, identityPublicKey)) continue;
    const reason = listed === undefined ? "is no active site of the roster" : "has another identity key in the roster";
    throw contradiction("adverts-of-members", `${JSON.stringify(siteId.slice(0, 63))} advertised keys and ${reason}`);
  }
}

/** @param taken those that the run's configuration names; undefined: any. @throws ProtocolRefusal naming the first other */
export function requireOfRun(
  adverts: readonly { readonly siteId: string }[],
  taken: readonly string[] | undefined,
): void {
  const other = taken && adverts.find(({ siteId }) => !taken.includes(siteId));
  if (other === undefined) return;
  const name = JSON.stringify(other.siteId.slice(0, 63));
  throw contradiction("adverts-of-run", `${name} advertised keys and is none of the sites that the run names`);
}

/** @throws ProtocolRefusal "policy-refused" where too few of the sites that the policy names are there */
export function requirePeers(
  stage: "advertise" | "share" | "unmask",
  sites: readonly { readonly siteId: string }[],
  required: RequiredPeers | undefined,
): void {
  if (required === undefined) return;
  const here = required.of.filter((peer) => sites.some(({ siteId }) => siteId === peer));
  if (here.length >= required.atLeast) return;
  const message = `stage ${stage} has ${here.length} of the sites that the policy requires; ${required.atLeast} are needed`;
  throw new ProtocolRefusal("required-peers", message, { code: "policy-refused" });
}
