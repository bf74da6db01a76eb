import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import type { SiteStore } from "../store/site-store.js";
import type { PublishedRoster, RosterDesk } from "./roster-desk.js";

/** Which roster is followed, and which sites may take part by it. */
export interface Membership {
  readonly roster: Pick<PublishedRoster, "version" | "digest"> | undefined;
  /** Active in the roster, and enrolled with the key that stands there: the others would refuse its adverts. */
  admits(siteId: string): boolean;
}

export function membershipBy(desk: Pick<RosterDesk, "current">, store: Pick<SiteStore, "findSite">): Membership {
  return {
    get roster() {
      return desk.current;
    },
    admits(siteId) {
      const listed = desk.current?.members.get(siteId);
      const enrolled = store.findSite(siteId);
      return listed !== undefined && enrolled !== undefined && sameBytes(listed, enrolled.identityKey);
    },
  };
}
