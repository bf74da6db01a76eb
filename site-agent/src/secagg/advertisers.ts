import { ConsiliumError } from "@consilium/shared/errors.js";
import type { KeyAdvert } from "@consilium/shared/protocol.js";
import { advertsDigest, sameAdvert, verifyAdverts } from "@consilium/shared/secagg/adverts.js";
import type { AttemptBinding } from "@consilium/shared/secagg/key-agreement.js";
import {
  compareSiteIds,
  type Floors,
  requireFloor,
  ringBoundOf,
  thresholdOf,
} from "@consilium/shared/secagg/protocol.js";
import type { PlanFacts } from "./plan-facts.js";

/** The attempt's advertisers U1 as this site verified them. */
export interface Advertisers {
  /** Sorted by site id; a site's position here, from 1, is its x in secret sharing. */
  readonly adverts: readonly KeyAdvert[];
  readonly binding: AttemptBinding;
  readonly floors: Floors;
  readonly threshold: number;
  /** B */
  readonly ringBound: number;
}

/**
 * @throws ConsiliumError "policy-refused" for a cohort below the floors or above the plan's size, "share-invalid" for a
 * bad advert, "message-conflict" when the site's own advert is missing or was changed
 */
export function verifyAdvertisers(facts: PlanFacts, ownAdvert: KeyAdvert, adverts: readonly KeyAdvert[]): Advertisers {
  const count = adverts.length;
  const floors: Floors = { advertisers: count, colluders: facts.colluders, minCohort: facts.minCohort };
  // site-check: advertisers-floor
  requireFloor("advertise", count, floors);
  // site-check: cohort-size
  if (count > facts.cohortSize) {
    throw new ConsiliumError("policy-refused", `${count} sites advertised; the plan has ${facts.cohortSize}`);
  }
  const sorted = verifyAdverts(facts.context, adverts);
  const listed = sorted.find((advert) => advert.siteId === ownAdvert.siteId);
  // site-check: own-advert
  if (listed === undefined || !sameAdvert(listed, ownAdvert)) {
    throw new ConsiliumError("message-conflict", "the list of adverts lacks this site's own, or changed it", {
      remedy: "the coordinator is faulty or hostile; tell its operator before taking part again",
    });
  }
  return {
    adverts: sorted,
    binding: { context: facts.context, advertsDigest: advertsDigest(sorted) },
    floors,
    threshold: thresholdOf(count, facts.colluders),
    ringBound: ringBoundOf(count),
  };
}

export function positionOf(advertisers: Advertisers, siteId: string): number {
  return advertisers.adverts.findIndex((advert) => advert.siteId === siteId) + 1;
}

export function advertOf(advertisers: Advertisers, siteId: string): KeyAdvert {
  const advert = advertisers.adverts[positionOf(advertisers, siteId) - 1];
  if (advert === undefined) throw new ConsiliumError("internal", `site ${siteId} is not among the advertisers`);
  return advert;
}

/**
 * A later stage's set, sorted: within the earlier one, without repeats, with this site, and above its floor.
 * @throws ConsiliumError "message-conflict" or "policy-refused"
 */
export function verifySubset(
  stage: "share" | "unmask",
  sites: readonly string[],
  within: { earlier: readonly string[]; self: string; floors: Floors },
): string[] {
  const { earlier, self, floors } = within;
  const known = new Set(earlier);
  const stranger = sites.find((site) => !known.has(site));
  // site-check: subset-of-earlier
  if (stranger !== undefined)
    throw conflict(stage, `names ${JSON.stringify(stranger)}, which was not in the one before`);
  // site-check: subset-distinct
  if (new Set(sites).size !== sites.length) throw conflict(stage, "names a site twice");
  // site-check: subset-self
  if (!sites.includes(self)) throw conflict(stage, "leaves this site out");
  // site-check: subset-floor
  requireFloor(stage, sites.length, floors);
  return [...sites].sort(compareSiteIds);
}

function conflict(stage: string, reason: string): ConsiliumError {
  return new ConsiliumError("message-conflict", `the list of sites in stage ${stage} ${reason}`, {
    remedy: "the attempt ends here for this site; it joins the next one",
  });
}
