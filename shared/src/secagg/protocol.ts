import { ConsiliumError } from "../errors.js";

/**
 * Masked aggregation after Bonawitz et al. 2017 with signed keys and lists: advertise, share, upload, confirm, unmask.
 * Everything here is a rule that all sites and the coordinator compute alike.
 */

/** First bytes of everything that is hashed, signed or derived; distinct, so that no value passes for another. */
export const Label = {
  commitment: "fsa1/b",
  advert: "fsa1/advert",
  share: "fsa1/share",
  upload: "fsa1/upload",
  survivors: "fsa1/u3",
  abort: "fsa1/abort",
  sealKey: "fsa1/enc",
  pairMask: "fsa1/pair",
  selfMask: "fsa1/self",
  graph: "fsa1/graph",
} as const;

/** Length of keys, secrets, shares, nonces and digests. */
export const secretBytes = 32;

/** Below three sites a sum shows each one its only counterpart. */
export const fewestSites = 3;

/**
 * Shares needed to reconstruct, of `sites` advertisers with `colluders` tolerated: 2t > sites + colluders, so that a
 * coordinator that tells half the sites "dropped" and the others "survived" never gets t shares of both kinds.
 */
export function thresholdOf(sites: number, colluders: number): number {
  return Math.floor((sites + colluders) / 2) + 1;
}

/** Largest magnitude of one encoded coordinate, such that the sum over `sites` fits a signed 32-bit word. */
export function ringBoundOf(sites: number): number {
  return Math.floor((2 ** 31 - 1) / sites);
}

/**
 * Abort statements that prove an attempt's survivors can never be confirmed: with so many signers bound, fewer than the
 * threshold of the others and the colluders are left.
 */
export function abortsNeeded(sites: number, colluders: number): number {
  return sites + colluders - thresholdOf(sites, colluders) + 1;
}

export interface Floors {
  /** Advertisers of this attempt, |U1|. */
  readonly advertisers: number;
  readonly colluders: number;
  readonly minCohort: number;
}

/**
 * The least number of sites in each stage's set.
 * @throws ConsiliumError "policy-refused" when the set is too small to hide a site
 */
export function requireFloor(stage: "advertise" | "share" | "unmask", size: number, floors: Floors): void {
  const threshold = thresholdOf(floors.advertisers, floors.colluders);
  const least = Math.max(threshold, floors.minCohort, stage === "advertise" ? fewestSites : 0);
  // site-check: stage-floor
  if (size < least) {
    throw new ConsiliumError("policy-refused", `stage ${stage} has ${size} sites; at least ${least} are needed`, {
      remedy: "wait until more sites take part; a smaller sum would show too much of each site",
    });
  }
}

const siteIdPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Site ids hold no zero byte, which separates them in derived labels. */
export function isSiteId(text: string): boolean {
  return siteIdPattern.test(text);
}

/** Order of site ids everywhere in the protocol: by code unit, which for these ids is by byte. */
export function compareSiteIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The bytes after their length as a big-endian 32-bit integer. */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
