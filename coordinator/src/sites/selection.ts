import { createHash } from "node:crypto";

export interface SelectionRequest {
  /** Sites that are there now. */
  readonly present: readonly string[];
  /** Only these, or everyone. */
  readonly allowed: readonly string[] | null;
  /** Sites that said no, or that the run is better off without. */
  readonly excluded: ReadonlySet<string>;
}

/** The sites of the request that may take part, sorted. */
export function eligibleSites({ present, allowed, excluded }: SelectionRequest): string[] {
  return present.filter((site) => (allowed?.includes(site) ?? true) && !excluded.has(site)).sort();
}

/**
 * At most `maxSites` of the eligible sites, sorted. Where there are more, a hash of the round decides, so that every
 * site takes part over the rounds and the same round always chooses alike.
 */
export function chooseCohort(eligible: readonly string[], maxSites: number, roundName: string): string[] {
  if (eligible.length <= maxSites) return [...eligible].sort();
  const rank = (site: string) => createHash("sha256").update(`${roundName}\0${site}`).digest("hex");
  return [...eligible]
    .map((site) => ({ site, rank: rank(site) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, maxSites)
    .map(({ site }) => site)
    .sort();
}
