import { graphSeed, maskingGraph, neighboursOf, sitesOf } from "./graph.js";
import { thresholdOf } from "./protocol.js";

/** Who masks and shares with whom in an attempt. Symmetric. */
export interface Neighbourhoods {
  /** Shares that recover a secret of a site. */
  readonly threshold: number;
  /** The sites that share a mask with this one and are sealed a share of its secrets, sorted. */
  readonly neighboursOf: (siteId: string) => readonly string[];
  /** The sites whose shares of this one's secrets count, sorted. Whom a site holds shares of is the same set. */
  readonly holdersOf: (siteId: string) => readonly string[];
}

/** Dropouts that a ring is made for, as a share of its sites. */
const tolerableLoss = 0.1;

/** Everyone with everyone: a site also holds a share of its own secrets, so that all reveal alike. */
export function completeNeighbourhoods(sites: readonly string[], threshold: number): Neighbourhoods {
  return { threshold, neighboursOf: (siteId) => sites.filter((other) => other !== siteId), holdersOf: () => sites };
}

/**
 * The masking graph of an attempt, which sites and coordinator compute alike: complete up to 128 sites, above that a ring
 * whose order follows from h1.
 * @param sites U1, sorted
 */
export function neighbourhoodsOf(
  sites: readonly string[],
  { colluders, advertsDigest }: { readonly colluders: number; readonly advertsDigest: Uint8Array },
): Neighbourhoods {
  const count = sites.length;
  const { degree, threshold } = maskingGraph({ sites: count, colluders, dropouts: sitesOf(tolerableLoss, count) });
  if (degree === count - 1) return completeNeighbourhoods(sites, thresholdOf(count, colluders));
  const indices = neighboursOf(count, degree, graphSeed(advertsDigest));
  const bySite = new Map(sites.map((site, i) => [site, indices[i]!.map((other) => sites[other]!)]));
  const around = (siteId: string): readonly string[] => bySite.get(siteId) ?? [];
  return { threshold, neighboursOf: around, holdersOf: around };
}
