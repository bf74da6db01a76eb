import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Delivered, Reveal, SealedShares } from "@consilium/shared/protocol.js";
import type { IdentityKey } from "@consilium/shared/secagg/adverts.js";
import { merkleTree } from "@consilium/shared/secagg/merkle.js";
import { openShares, type SharePair, sealShares, type UnprovenShare } from "@consilium/shared/secagg/seal.js";
import { splitSecret } from "@consilium/shared/secagg/shamir.js";
import { shareLeaf, shareSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { type Advertisers, advertOf, positionOf } from "./advertisers.js";
import type { AttemptSecrets } from "./site-keys.js";

export interface DealtShares {
  /** One for every other advertiser. */
  readonly sealed: readonly UnprovenShare[];
  /** The site's share of its own secrets, which stays. */
  readonly own: SharePair;
}

export function eraseSharePair({ maskShare, selfShare }: SharePair): void {
  maskShare.fill(0);
  selfShare.fill(0);
}

/** Splits s_u and b_u among all advertisers. */
export function dealShares(
  advertisers: Advertisers,
  siteId: string,
  from: { secrets: AttemptSecrets; entropy: Entropy },
): DealtShares {
  const { secrets, entropy } = from;
  const options = { count: advertisers.adverts.length, threshold: advertisers.threshold, entropy };
  const maskShares = splitSecret(secrets.maskSecret, options);
  const selfShares = splitSecret(secrets.selfSecret, options);
  const pairs = maskShares.map(({ x, value }, i) => ({ x, maskShare: value, selfShare: selfShares[i]!.value }));
  const own = pairs[positionOf(advertisers, siteId) - 1]!;
  const sealed = advertisers.adverts.flatMap((advert, i) => {
    if (advert.siteId === siteId) return [];
    const route = { fromSite: siteId, toSite: advert.siteId };
    const keys = { sealSecret: secrets.sealSecret, theirSealPublicKey: advert.sealPublicKey };
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
 * Opens one share from every other sharer.
 * @throws ConsiliumError "share-invalid" naming the author of a missing or bad share
 */
export function openDelivered(
  advertisers: Advertisers,
  siteId: string,
  from: { delivered: Delivered; sealSecret: Uint8Array },
): Map<string, SharePair> {
  const { delivered, sealSecret } = from;
  const x = positionOf(advertisers, siteId);
  const held = new Map<string, SharePair>();
  for (const { siteId: author } of delivered.sharers) {
    if (author === siteId) continue;
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
 * For every sharer one share: of its self secret where it survived, of its mask secret where it did not. The kind
 * follows from the site's own stored sets; there is no input by which both could be asked for.
 */
export function revealsFor(
  sharers: readonly string[],
  survivors: ReadonlySet<string>,
  held: ReadonlyMap<string, SharePair>,
): Reveal[] {
  return sharers.map((aboutSite) => {
    const pair = held.get(aboutSite);
    if (pair === undefined) throw new ConsiliumError("internal", `no share of site ${aboutSite} is held`);
    return survivors.has(aboutSite)
      ? { aboutSite, share: { $case: "selfShare", value: new Uint8Array(pair.selfShare) } }
      : { aboutSite, share: { $case: "pairwiseShare", value: new Uint8Array(pair.maskShare) } };
  });
}
