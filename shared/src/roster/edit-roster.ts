import { plainWords } from "../config/plain-words.js";
import { ConsiliumError } from "../errors.js";
import { rotationHolds } from "../identity/key-rotation.js";
import {
  noPredecessor,
  type Roster,
  type RosterFloors,
  type RosterSite,
  rosterDigest,
  rosterSchema,
} from "./roster.js";
import type { SignedRoster } from "./signed-roster.js";

/** What the holders of governance keys do with a roster before they sign it. Times are milliseconds since the epoch. */

export interface RosterTimes {
  readonly nowMs: number;
  readonly validUntilMs: number;
}

export function firstRoster(federation: string, floors: RosterFloors, { validUntilMs }: RosterTimes): SignedRoster {
  const roster: Roster = {
    ...{ format: "consilium-roster-1", federation, version: 1, previous: noPredecessor },
    ...{ sites: [], floors, validUntil: instantOf(validUntilMs) },
  };
  return unsigned(roster);
}

/** A site as it is added, with its raw key as text. */
export type NewSite = Pick<RosterSite, "siteId" | "organisation" | "identityKey">;

/**
 * With the site active; one that was removed comes back, and an active one gets a new name. Its key is exchanged by
 * `withKeyReplaced` alone, which asks for the old key's word.
 * @throws ConsiliumError "already-exists" when nothing would change, or an active site has another key; "config-invalid"
 * for a key that another site has
 */
export function withSite(signed: SignedRoster, added: NewSite, times: RosterTimes): SignedRoster {
  const { roster } = signed;
  const before = roster.sites.find(({ siteId }) => siteId === added.siteId);
  if (before?.status === "active") requireSameKey(before, added);
  const site: RosterSite = { ...added, status: "active", since: instantOf(times.nowMs) };
  return successor(signed, withEntry(roster.sites, site), times);
}

function requireSameKey(before: RosterSite, { siteId, identityKey, organisation }: NewSite): void {
  if (before.identityKey !== identityKey) {
    throw new ConsiliumError("already-exists", `${siteId} is in the roster with another key already`, {
      remedy: "give it the new one with 'consilium roster replace', which asks whether the old key vouches for it",
    });
  }
  if (before.organisation === organisation) {
    throw new ConsiliumError("already-exists", `${siteId} is in the roster with this key and name already`);
  }
}

/**
 * With another key for an active site.
 * @param signature the old key's under the new one (`signRotation`), hex; undefined where the old key is lost
 * @throws ConsiliumError "not-found" when no such site is active, "already-exists" for the key that it has,
 * "roster-refused" where the old key did not sign, "config-invalid" for a key that another site has
 */
export function withKeyReplaced(
  signed: SignedRoster,
  { siteId, identityKey, signature }: Pick<RosterSite, "siteId" | "identityKey"> & { readonly signature?: string },
  times: RosterTimes,
): SignedRoster {
  const { roster } = signed;
  const { replaces: _replaces, ...before } = activeSite(roster, siteId);
  if (before.identityKey === identityKey) {
    throw new ConsiliumError("already-exists", `${siteId} has this key in the roster already`);
  }
  const rotation = { federation: roster.federation, siteId, before: before.identityKey, key: identityKey };
  if (signature !== undefined && !rotationHolds(rotation, Buffer.from(signature, "hex"))) {
    throw new ConsiliumError("roster-refused", `the key of ${siteId} in the roster did not sign the new one`, {
      remedy: "compare both with what 'consilium-agent identity' prints at the site, by telephone",
    });
  }
  const replaces = signature === undefined ? {} : { replaces: { key: before.identityKey, signature } };
  const site: RosterSite = { ...before, ...replaces, identityKey, since: instantOf(times.nowMs) };
  return successor(signed, withEntry(roster.sites, site), times);
}

/** @throws ConsiliumError "not-found" when no such site is active */
export function withoutSite(signed: SignedRoster, siteId: string, times: RosterTimes): SignedRoster {
  const { sites } = signed.roster;
  const before = activeSite(signed.roster, siteId);
  const removed: RosterSite = { ...before, status: "removed", since: instantOf(times.nowMs) };
  return successor(signed, withEntry(sites, removed), times);
}

function activeSite({ sites }: Roster, siteId: string): RosterSite {
  const active = sites.find((site) => site.siteId === siteId && site.status === "active");
  if (active !== undefined) return active;
  throw new ConsiliumError("not-found", `${siteId} is not an active site of the roster`, {
    remedy: "'consilium roster show FILE' lists its sites",
  });
}

function withEntry(sites: readonly RosterSite[], site: RosterSite): RosterSite[] {
  const others = sites.filter(({ siteId }) => siteId !== site.siteId);
  return [...others, site].sort((a, b) => (a.siteId < b.siteId ? -1 : 1));
}

/** A roster that somebody has signed is finished: a change makes the next version. One that nobody has is still a draft. */
function successor({ roster, signatures }: SignedRoster, sites: RosterSite[], times: RosterTimes): SignedRoster {
  const changed = { ...roster, sites, validUntil: instantOf(times.validUntilMs) };
  const next = { ...changed, version: roster.version + 1, previous: rosterDigest(roster) };
  return unsigned(signatures.length === 0 ? changed : next);
}

/** @throws ConsiliumError "config-invalid" */
function unsigned(roster: Roster): SignedRoster {
  const parsed = rosterSchema.safeParse(roster, plainWords);
  if (parsed.success) return { roster: parsed.data, signatures: [] };
  const [issue] = parsed.error.issues;
  throw new ConsiliumError("config-invalid", `the roster's ${issue?.path.map(String).join(".")} ${issue?.message}`);
}

/** Whole seconds, UTC. */
function instantOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}
