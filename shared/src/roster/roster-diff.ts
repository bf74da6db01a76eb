import { canonicalJson } from "../canonical-json.js";
import type { Roster, RosterFloors, RosterSite } from "./roster.js";

/** What one roster changes of another, for people who decide about it. */
export interface RosterDiff {
  /** Active now, and not before, or not with this key. */
  readonly added: readonly RosterSite[];
  /** Active before, and not now, or not with this key. */
  readonly removed: readonly RosterSite[];
  /** The same key under another organisation's name. */
  readonly renamed: readonly { readonly before: RosterSite; readonly after: RosterSite }[];
  readonly floors: { readonly before: RosterFloors; readonly after: RosterFloors } | undefined;
}

/** @param before undefined where a site knows no roster yet: everything is added */
export function rosterDiff(before: Roster | undefined, after: Roster): RosterDiff {
  const old = activeByMember(before);
  const now = activeByMember(after);
  return {
    added: [...now].filter(([member]) => !old.has(member)).map(([, site]) => site),
    removed: [...old].filter(([member]) => !now.has(member)).map(([, site]) => site),
    renamed: [...now].flatMap(([member, site]) => {
      const earlier = old.get(member);
      return earlier === undefined || earlier.organisation === site.organisation
        ? []
        : [{ before: earlier, after: site }];
    }),
    floors:
      before === undefined || canonicalJson(before.floors) === canonicalJson(after.floors)
        ? undefined
        : { before: before.floors, after: after.floors },
  };
}

/** A person of the site is asked about whatever could weaken its protection; removals and higher floors cannot. */
export function weakens({ added, renamed, floors }: RosterDiff): boolean {
  return added.length > 0 || renamed.length > 0 || (floors !== undefined && isLower(floors));
}

function isLower({ before, after }: NonNullable<RosterDiff["floors"]>): boolean {
  return after.minCohort < before.minCohort || after.maxColluders < before.maxColluders;
}

/** A member is an id together with its key: another key under the same id is another member. */
function activeByMember(roster: Roster | undefined): Map<string, RosterSite> {
  const active = (roster?.sites ?? []).filter(({ status }) => status === "active");
  return new Map(active.map((site) => [`${site.siteId} ${site.identityKey}`, site]));
}
