import type { KeyAdvert, Reveal } from "@consilium/shared/protocol.js";
import type { Neighbourhoods } from "@consilium/shared/secagg/neighbourhoods.js";
import { isFieldElement, type Share } from "@consilium/shared/secagg/shamir.js";

/** What the survivors revealed, and the sets that say which kind of share each should have revealed. */
export interface Revelation {
  /** U1, sorted by site id. */
  readonly adverts: readonly KeyAdvert[];
  /** U2 */
  readonly sharers: readonly string[];
  /** U3 */
  readonly survivors: readonly string[];
  readonly reveals: readonly SiteReveals[];
  /** Who holds shares of whom. */
  readonly neighbourhoods: Neighbourhoods;
}

export interface SiteReveals {
  readonly fromSite: string;
  readonly reveals: readonly Reveal[];
}

export interface HeldShare extends Share {
  readonly holder: string;
}

/** Why a site's reveals cannot all be used; undefined when they can. */
export function faultIn(
  { fromSite, reveals }: SiteReveals,
  { sharers, neighbourhoods }: Pick<Revelation, "sharers" | "neighbourhoods">,
  survivors: ReadonlySet<string>,
) {
  const held = new Set(neighbourhoods.holdersOf(fromSite));
  const expected = sharers.filter((site) => held.has(site));
  const about = new Set(reveals.map((reveal) => reveal.aboutSite));
  if (about.size !== reveals.length) return "two shares of one site";
  if (about.size !== expected.length || !expected.every((site) => about.has(site)))
    return "not one share of every sharer";
  for (const { aboutSite, share } of reveals) {
    const kind = survivors.has(aboutSite) ? "selfShare" : "pairwiseShare";
    if (share.$case !== kind) return `the wrong kind of share of site ${aboutSite}`;
    if (!isFieldElement(share.value)) return `a malformed share of site ${aboutSite}`;
  }
  return undefined;
}

/** The shares of each sharer's secret, by owner. Reveals with a fault are left out and their site is blamed. */
export function collectShares(revelation: Revelation): {
  shares: ReadonlyMap<string, HeldShare[]>;
  blamed: Set<string>;
} {
  const { adverts, sharers, survivors, reveals } = revelation;
  const survived = new Set(survivors);
  const positions = new Map(adverts.map((advert, i) => [advert.siteId, i + 1]));
  const shares = new Map<string, HeldShare[]>(sharers.map((site) => [site, []]));
  const blamed = new Set<string>();
  const heard = new Set<string>();
  for (const { fromSite, reveals: revealed } of reveals) {
    const x = positions.get(fromSite);
    if (x === undefined || !survived.has(fromSite) || heard.has(fromSite)) continue;
    heard.add(fromSite);
    if (faultIn({ fromSite, reveals: revealed }, revelation, survived) !== undefined) {
      blamed.add(fromSite);
      continue;
    }
    for (const { aboutSite, share } of revealed)
      shares.get(aboutSite)?.push({ holder: fromSite, x, value: share.value });
  }
  return { shares, blamed };
}
