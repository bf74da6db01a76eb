import { type Bounds, boundsOn, type LostAttempt, type Past } from "./lost-attempts.js";

/** Which sites a sum may be over after attempts at its round were lost. */

export interface SumSize {
  readonly fewest: number;
  readonly most: number;
  /** Sites that may work with the coordinator. */
  readonly colluders: number;
}

/**
 * As many of these sites as all of them accept in one sum: with each unproven attempt it has the same survivors, or others
 * by at least colluders + 2. With one such attempt, no larger choice exists.
 * @returns sorted; undefined where there is no such choice
 */
export function safeSites(sites: readonly string[], bounds: Bounds, size: SumSize): readonly string[] | undefined {
  const { unproven, refusing } = bounds;
  const willing = sites.filter((site) => !refusing.has(site)).sort();
  const choices = [...unproven.map(({ survivors }) => survivors), ...thoseOfFewLists(willing, unproven)];
  const possible = choices.filter(
    (choice) =>
      choice.length >= size.fewest &&
      choice.length <= size.most &&
      choice.every((site) => willing.includes(site)) &&
      unproven.every(({ survivors }) => isFarEnough(survivors, choice, size.colluders)),
  );
  const [first, ...others] = possible;
  if (first === undefined) return undefined;
  return [...others.reduce((best, choice) => (choice.length > best.length ? choice : best), first)].sort();
}

/** Of each size, the sites that differ most from what was confirmed: first those that are in the fewest lists. */
function thoseOfFewLists(sites: readonly string[], unproven: readonly LostAttempt[]): string[][] {
  const listsWith = (site: string) => unproven.filter(({ survivors }) => survivors.includes(site)).length;
  const ordered = sites.map((site) => ({ site, lists: listsWith(site) })).sort((a, b) => a.lists - b.lists);
  return ordered.map((_, i) => ordered.slice(0, ordered.length - i).map(({ site }) => site));
}

function isFarEnough(before: readonly string[], now: readonly string[], colluders: number): boolean {
  const kept = now.filter((site) => before.includes(site)).length;
  const changed = before.length + now.length - 2 * kept;
  // Nobody here has confirmed the earlier list, or can tell the two sums apart.
  return kept === 0 || changed === 0 || changed >= colluders + 2;
}

/**
 * What stands in the way of a sum over sites like these, such as "hospital-d or 2 other sites: in attempt 1, which was
 * lost, sites confirmed a sum with hospital-d". "" where nothing does.
 */
export function whatIsMissing(past: Past, sites: readonly string[], size: SumSize): string {
  const bounds = boundsOn(past, sites);
  if (bounds.unproven.length === 0 || safeSites(sites, bounds, size) !== undefined) return "";
  const { unproven, refusing } = bounds;
  const others = othersNeeded(sites, bounds, size);
  const elsewhere = others === undefined ? "" : ` or ${others} other ${others === 1 ? "site" : "sites"}`;
  const lists = unproven.map((lost) => {
    const missing = lost.survivors.filter((site) => !sites.includes(site) || refusing.has(site));
    return lost.survivors.length > 0 && missing.length > 0 && missing.every((site) => !refusing.has(site))
      ? `${missing.join(", ")}${elsewhere}: in attempt ${lost.attempt}, which was lost, sites confirmed a sum with ${missing.join(", ")}`
      : `${absent(lost, sites)}${elsewhere}: nothing proves yet that attempt ${lost.attempt}, which was lost, can never be summed`;
  });
  return lists.join("; ");
}

/** Sites of a lost attempt whose word would help to prove its end. */
function absent({ advertisers, confirmed }: LostAttempt, sites: readonly string[]): string {
  const away = advertisers.filter((site) => !sites.includes(site) && !confirmed.includes(site));
  return away.length === 0 ? "more sites" : away.join(", ");
}

/** Sites of no lost attempt that would make a choice possible; undefined where none would. */
function othersNeeded(sites: readonly string[], bounds: Bounds, size: SumSize): number | undefined {
  for (let count = 1; count <= size.fewest + size.colluders + 2; count++) {
    const others = Array.from({ length: count }, (_, i) => `another ${i}`);
    if (safeSites([...sites, ...others], bounds, size) !== undefined) return count;
  }
  return undefined;
}
