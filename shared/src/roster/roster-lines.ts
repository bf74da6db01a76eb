import { formatInstant } from "../terminal/format.js";
import { fieldLines, tableLines } from "../terminal/table.js";
import { type Roster, type RosterSite, rosterDigest } from "./roster.js";
import type { RosterDiff } from "./roster-diff.js";
import { type SignedRoster, signersOf } from "./signed-roster.js";

/** Rosters as people read them before they sign or approve. */

export function rosterLines(signed: SignedRoster): string[] {
  const { roster } = signed;
  return [
    ...fieldLines([
      ["federation", roster.federation],
      ["version", String(roster.version)],
      ["SHA-256", rosterDigest(roster)],
      ["follows", roster.version === 1 ? "nothing: the first" : roster.previous],
      ["valid until", formatInstant(Date.parse(roster.validUntil))],
      ["fewest sites", `${roster.floors.minCohort} in a sum`],
      ["colluders", `masking withstands ${roster.floors.maxColluders} or more`],
    ]),
    "",
    ...siteLines(roster),
    "",
    ...signatureLines(signed),
  ];
}

function siteLines({ sites }: Roster): string[] {
  if (sites.length === 0) return ["no site yet"];
  const columns = ["SITE", "ORGANISATION", "STATUS", "SINCE", "IDENTITY KEY"].map((title) => ({ title, maxWidth: 90 }));
  return tableLines(
    columns,
    sites.map(({ siteId, organisation, status, since, identityKey }) => [
      ...[siteId, organisation, status, formatInstant(Date.parse(since)), identityKey],
    ]),
  );
}

function signatureLines(signed: SignedRoster): string[] {
  if (signed.signatures.length === 0) return ["not signed yet"];
  const valid = signersOf(signed);
  return signed.signatures.map(({ key }) => `${valid.has(key) ? "signed by" : "DAMAGED SIGNATURE of"} ${key}`);
}

/** Of a site that stays under another key: whether the old key vouches for the new one. */
function keyChange({ siteId, replaces }: RosterSite, removed: RosterDiff["removed"]): string {
  const before = removed.find((site) => site.siteId === siteId);
  if (before === undefined) return "";
  return replaces?.key === before.identityKey ? ", signed by the key before" : ", NOT signed by the key before";
}

/** What changes, a line each; says so where nothing does. */
export function diffLines({ added, removed, renamed, floors }: RosterDiff): string[] {
  const called = ({ siteId, organisation, identityKey }: RosterSite) => `${siteId} (${organisation}) ${identityKey}`;
  const lines = [
    ...added.map((site) => `+ ${called(site)}${keyChange(site, removed)}`),
    ...removed.map((site) => `- ${called(site)}`),
    ...renamed.map(({ before, after }) => `~ ${before.siteId}: ${before.organisation} is now ${after.organisation}`),
    ...(floors === undefined
      ? []
      : [
          `~ fewest sites in a sum: ${floors.before.minCohort} → ${floors.after.minCohort}`,
          `~ colluders withstood: ${floors.before.maxColluders} → ${floors.after.maxColluders}`,
        ]),
  ];
  return lines.length === 0 ? ["no site and no floor changes"] : lines;
}
