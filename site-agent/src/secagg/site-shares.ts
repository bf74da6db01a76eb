import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Delivered, Reveal, SealedShares } from "@consilium/shared/protocol.js";
import type { IdentityKey } from "@consilium/shared/secagg/adverts.js";
import { agreementKey } from "@consilium/shared/secagg/key-agreement.js";
import { merkleTree } from "@consilium/shared/secagg/merkle.js";
import { openShares, type SharePair, sealShares, type UnprovenShare } from "@consilium/shared/secagg/seal.js";
import { splitSecretAt } from "@consilium/shared/secagg/shamir.js";
import { shareLeaf, shareSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { type Advertisers, advertOf, positionOf } from "./advertisers.js";
import type { AttemptSecrets } from "./site-keys.js";

export interface DealtShares {
  /** One for every neighbour. */
  readonly sealed: readonly UnprovenShare[];
  /** The site's share of its own secrets, which stays; a ring has none. */
  readonly own: SharePair | undefined;
}

export function eraseSharePair({ maskShare, selfShare }: SharePair): void {
  maskShare.fill(0);
  selfShare.fill(0);
}

/** Splits s_u and b_u among those who hold shares of this site. */
export function dealShares(
  advertisers: Advertisers,
  siteId: string,
  from: { secrets: AttemptSecrets; entropy: Entropy },
): DealtShares {
  const { secrets, entropy } = from;
  const { neighbourhoods } = advertisers;
  const holders = neighbourhoods.holdersOf(siteId);
  const xs = holders.map((holder) => positionOf(advertisers, holder));
  const options = { xs, threshold: neighbourhoods.threshold, entropy };
  const maskShares = splitSecretAt(secrets.maskSecret, options);
  const selfShares = splitSecretAt(secrets.selfSecret, options);
  const pairs = maskShares.map(({ x, value }, i) => ({ x, maskShare: value, selfShare: selfShares[i]!.value }));
  const own = pairs[holders.indexOf(siteId)];
  const sealSecret = agreementKey(secrets.sealSecret);
  const sealed = holders.flatMap((holder, i) => {
    if (holder === siteId) return [];
    const route = { fromSite: siteId, toSite: holder };
    const theirSealPublicKey = advertOf(advertisers, holder).sealPublicKey;
    const keys = { sealSecret, theirSealPublicKey };
    const share = sealShares(advertisers.binding, { route, keys, shares: pairs[i]! });
    eraseSharePair(pairs[i]!);
    return [share];
  });
  return { sealed, own };
}

/** The message of stage share: each sealed share with its place under the root that the site signs. */
export function signShares(
  { binding }: Advertisers,
  { siteId, identity }: { siteId: string; identity: IdentityKey },
  sealed: readonly UnprovenShare[],
): SealedShares {
  const { root, paths } = merkleTree(sealed.map(shareLeaf));
  const shares = sealed.map((share, i) => ({ ...share, path: paths[i]! }));
  return { shares, root, signature: identity.sign(shareSignatureInput(binding, siteId, root)) };
}

/**
 * Opens one share from every neighbour that shared.
 * @throws BadShare for one that does not open, ConsiliumError "share-invalid" where the coordinator left one out
 */
export function openDelivered(
  advertisers: Advertisers,
  siteId: string,
  from: { delivered: Delivered; sealSecret: Uint8Array },
): Map<string, SharePair> {
  const { delivered } = from;
  const sealSecret = agreementKey(from.sealSecret);
  const x = positionOf(advertisers, siteId);
  const held = new Map<string, SharePair>();
  const sharers = new Set(delivered.sharers.map((sharer) => sharer.siteId));
  for (const author of advertisers.neighbourhoods.neighboursOf(siteId)) {
    if (!sharers.has(author)) continue;
    const addressed = delivered.shares.filter((share) => share.fromSite === author && share.toSite === siteId);
    const [share] = addressed;
    // site-check: one-share-each
    if (share === undefined || addressed.length > 1) {
      throw new ConsiliumError("share-invalid", `${addressed.length} shares by site ${author} came instead of one`);
    }
    const keys = { sealSecret, theirSealPublicKey: advertOf(advertisers, author).sealPublicKey };
    held.set(author, openShares(advertisers.binding, { share, keys, x }));
  }
  return held;
}

/**
 * For every sharer of which this site holds shares, one share: of its self secret where it survived, of its mask secret where it did not. The kind
 * follows from the site's own stored sets; there is no input by which both could be asked for.
 */
export function revealsFor(
  about: readonly string[],
  survivors: ReadonlySet<string>,
  held: ReadonlyMap<string, SharePair>,
): Reveal[] {
  return about.map((aboutSite) => {
    const pair = held.get(aboutSite);
    if (pair === undefined) throw new ConsiliumError("internal", `no share of site ${aboutSite} is held`);
    return survivors.has(aboutSite)
      ? { aboutSite, share: { $case: "selfShare", value: new Uint8Array(pair.selfShare) } }
      : { aboutSite, share: { $case: "pairwiseShare", value: new Uint8Array(pair.maskShare) } };
  });
}
