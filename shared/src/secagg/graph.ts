import { createHash } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import { permutation } from "../random.js";
import { binomial, lowerQuantile, upperQuantile } from "./hypergeometric.js";
import { keystreamChunks } from "./mask.js";
import { Label, thresholdOf } from "./protocol.js";

/**
 * Who masks with whom. Up to 128 sites everyone with everyone; above, a Harary ring of degree k after Bell et al. 2020:
 * the members stand on a ring in random order, and each masks with the k/2 before it and the k/2 after it.
 */

/** Largest cohort in which every pair shares a mask. */
export const largestCompleteGraph = 128;

/** Security in bits for the ring: 40, and 20 more for a coordinator that tries many cohorts until it likes the ring. */
export const ringSecurityBits = 60;

/** The protocol fails to finish with probability at most 2^−20. */
const correctnessBits = 20;

export interface Adversary {
  /** Sites in the cohort. */
  readonly sites: number;
  /** How many of them may work with the coordinator. */
  readonly colluders: number;
  /** How many of them may drop out. */
  readonly dropouts: number;
}

export interface RingRequirements extends Adversary {
  /** A semi-malicious coordinator may tell some neighbours that a site dropped out and others that it did not. */
  readonly coordinator: "semi-honest" | "semi-malicious";
  readonly securityBits: number;
}

/** `degree` neighbours of each site, `threshold` of which recover a secret of it. */
export interface MaskingGraph {
  readonly degree: number;
  readonly threshold: number;
}

/** How many sites a fraction of the cohort is, rounded down. */
export function sitesOf(fraction: number, sites: number): number {
  // A fraction such as 0.29 of 100 is 28.999999999999996 in binary.
  return Math.floor((fraction + 1e-14) * sites);
}

/**
 * Two gaps of k/2 sites each, gone for whichever reason, must cut the ring before honest survivors lose each other. The
 * probability, at most (pairs of places for the gaps) · C(n−k, bad−k) / C(n, bad), must stay below 1 / inverse.
 */
function staysConnected({ sites, colluders, dropouts }: Adversary, degree: number, inverse: bigint): boolean {
  const bad = Math.min(sites, colluders + dropouts);
  const doubledPlaces = BigInt(sites) * BigInt(sites - degree - 1);
  return doubledPlaces * binomial(sites - degree, bad - degree) * inverse < 2n * binomial(sites, bad);
}

/** The least threshold that keeps secrets at this degree, or undefined where too few neighbours may survive to reach it. */
function thresholdAt(degree: number, requirements: RingRequirements): number | undefined {
  const { sites, colluders, dropouts, coordinator, securityBits } = requirements;
  // Half the risk for a graph that falls apart, half for a site among too many colluders.
  const inverse = 2n ** BigInt(securityBits + 1);
  if (!staysConnected(requirements, degree, inverse)) return undefined;
  const perSite = (bound: bigint) => ({ inverse: bound * BigInt(sites) });
  const draw = { population: sites, draws: degree };
  const corrupt = upperQuantile({ ...draw, marked: colluders }, perSite(inverse));
  const surviving = lowerQuantile({ ...draw, marked: sites - dropouts }, perSite(2n ** BigInt(correctnessBits)));
  const least = coordinator === "semi-honest" ? corrupt + 1 : thresholdOf(degree, corrupt);
  return least <= surviving ? Math.max(2, least) : undefined;
}

/**
 * The ring of least degree, or undefined where every ring is too sparse: then only the complete graph will do. Each of
 * the two ways to lose privacy (a graph of honest survivors that is not connected, a site with too many colluding
 * neighbours) has probability at most 2^−(securityBits+1). Agrees with the search of Google's federated-compute.
 */
export function ringParameters(requirements: RingRequirements): MaskingGraph | undefined {
  for (let degree = 2; degree < requirements.sites - 1; degree += 2) {
    const threshold = thresholdAt(degree, requirements);
    if (threshold !== undefined) return { degree, threshold };
  }
  return undefined;
}

const found = new Map<string, MaskingGraph>();

/** The graph of a cohort. Deterministic, so that every site computes it itself; later calls cost nothing. */
export function maskingGraph({ sites, colluders, dropouts }: Adversary): MaskingGraph {
  const key = `${sites}/${colluders}/${dropouts}`;
  const known = found.get(key);
  if (known !== undefined) return known;
  const ring =
    sites <= largestCompleteGraph
      ? undefined
      : ringParameters({ sites, colluders, dropouts, coordinator: "semi-malicious", securityBits: ringSecurityBits });
  const graph = ring ?? { degree: sites - 1, threshold: thresholdOf(sites, colluders) };
  found.set(key, graph);
  return graph;
}

/** The seed of the ring: `h1` covers a nonce of every member, so that no party sets it alone. */
export function graphSeed(h1: Uint8Array): Uint8Array {
  return createHash("sha256").update(Label.graph).update(h1).digest();
}

/** Integers below a limit from the keystream under the seed; words that would favour small integers are thrown away. */
function integersFrom(seed: Uint8Array): (below: number) => number {
  const block = 1024;
  let words: Int32Array = new Int32Array(0);
  let taken = 0;
  let start = 0;
  const next = () => {
    if (taken === words.length) {
      words = [...keystreamChunks(seed, start, block)][0]!;
      start += block;
      taken = 0;
    }
    return words[taken++]! >>> 0;
  };
  return (below) => {
    const fair = 2 ** 32 - (2 ** 32 % below);
    let word = next();
    while (word >= fair) word = next();
    return word % below;
  };
}

/**
 * The neighbours of each member, as ascending indices into the cohort in its protocol order. Symmetric; every member
 * has `degree` neighbours. The seed has 32 bytes.
 * @throws ConsiliumError "plan-invalid" for a degree that is neither even nor that of the complete graph
 */
export function neighboursOf(sites: number, degree: number, seed: Uint8Array): readonly (readonly number[])[] {
  const complete = degree === sites - 1;
  if (!Number.isInteger(degree) || degree < 1 || degree >= sites || (degree % 2 === 1 && !complete)) {
    throw new ConsiliumError("plan-invalid", `no ring of ${sites} sites gives each of them ${degree} neighbours`);
  }
  const ring = permutation(sites, { integer: integersFrom(seed) });
  const neighbours: number[][] = Array.from({ length: sites }, () => []);
  const reach = Math.floor(degree / 2);
  for (let place = 0; place < sites; place++) {
    const own = neighbours[ring[place]!]!;
    if (complete) own.push(...ring.filter((_, other) => other !== place));
    else {
      for (let step = 1; step <= reach; step++) {
        own.push(ring[(place + step) % sites]!, ring[(place - step + sites) % sites]!);
      }
    }
    own.sort((a, b) => a - b);
  }
  return neighbours;
}
