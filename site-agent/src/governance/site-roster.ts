import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { membersOf, type Roster, type RosterFloors, rosterDigest } from "@consilium/shared/roster/roster.js";
import { type RosterDiff, rosterDiff, weakens } from "@consilium/shared/roster/roster-diff.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import {
  isExpired,
  isGoverned,
  judgeChain,
  type RosterFault,
  rosterFaults,
} from "@consilium/shared/roster/succession.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import type { AuditTrail } from "../audit/audit-log.js";
import type { Policy } from "../policy.js";
import { GovernanceRefusal } from "./governance-refusal.js";
import type { RosterFiles } from "./roster-files.js";

export interface SiteRosterOptions {
  readonly files: RosterFiles;
  readonly federation: string;
  readonly own: { readonly siteId: string; readonly identityKey: Uint8Array };
  readonly clock: { now(): number };
  readonly audit: AuditTrail;
  readonly logger: Logger;
  /** The coordinator's rosters after a version, oldest first. */
  readonly fetch: (afterVersion: number) => Promise<readonly SignedRoster[]>;
  /** Counts rosters that were refused. */
  readonly onRefused: (fault: RosterFault) => void;
}

/** Who a plan's sums may be shared with, as this site's own roster has it. */
export interface Membership {
  /** Raw identity keys, by site. */
  readonly members: ReadonlyMap<string, Uint8Array>;
  readonly floors: RosterFloors;
}

/** Which roster this site follows. What the coordinator hands over counts only as far as the pinned keys have signed it. */
export class SiteRoster {
  readonly #options: SiteRosterOptions;

  constructor(options: SiteRosterOptions) {
    this.#options = options;
  }

  /** The version that is followed; 0: none. */
  get version(): number {
    return this.#options.files.pinned?.roster.version ?? 0;
  }

  /** As `requireFollowed`, after a look at what the coordinator has where the plan names a newer version. */
  async follow(plan: RoundPlan, governance: Policy["governance"]): Promise<Membership> {
    if (governance.keys.length > 0 && plan.rosterVersion > this.version) await this.catchUp(governance);
    return this.requireFollowed(plan, governance);
  }

  /**
   * The members by the roster that the plan names, without those whom a newer one removes.
   * @throws GovernanceRefusal unless this site follows exactly that roster, by the keys that its policy pins now
   */
  requireFollowed(plan: RoundPlan, governance: Policy["governance"]): Membership {
    const { pinned, waiting } = this.#requirePinned(governance);
    // site-check: plan-roster
    requireSameRoster(plan, pinned.roster, waiting?.roster);
    return this.#membershipOf(pinned, waiting);
  }

  /** As `requireFollowed`, for a plan that goes by the roster that this site follows now, whichever it is. */
  requireMembership(governance: Policy["governance"]): Membership {
    const { pinned, waiting } = this.#requirePinned(governance);
    return this.#membershipOf(pinned, waiting);
  }

  #requirePinned(governance: Policy["governance"]) {
    const { files } = this.#options;
    requireKeys(governance);
    const { waiting } = files;
    const pinned = requirePinned(files.pinned, waiting);
    this.#requireInForce(pinned, governance);
    return { pinned, waiting };
  }

  #membershipOf(pinned: SignedRoster, waiting: SignedRoster | undefined): Membership {
    const { own } = this.#options;
    const members = remaining(membersOf(pinned.roster), waiting?.roster);
    // site-check: own-roster-entry
    requireOwnEntry(members.get(own.siteId), own);
    return { members, floors: pinned.roster.floors };
  }

  /** As `update`. What cannot be had now is asked for again later. */
  async catchUp(governance: Policy["governance"]): Promise<void> {
    try {
      await this.update(governance);
    } catch (thrown) {
      const { code, message } = asConsiliumError(thrown);
      const { logger } = this.#options;
      // Why there is no connection is said once, by whoever keeps this site attached.
      if (code === "unreachable") logger.debug("roster-not-fetched", { code });
      else logger.warn("roster-not-fetched", { code, reason: message });
    }
  }

  /** Asks the coordinator for newer rosters. @throws ConsiliumError "unreachable", "roster-refused" or "storage" */
  async update(governance: Policy["governance"]): Promise<void> {
    const { files, fetch } = this.#options;
    const newest = this.#governed(files.waiting, governance) ?? files.pinned;
    this.receive(await fetch(newest?.roster.version ?? 0), governance);
  }

  /** Follows the newest roster of a chain that may be followed at once, and keeps one that needs a person's word. */
  receive(chain: readonly SignedRoster[], governance: Policy["governance"]): void {
    const { files, federation, own, clock } = this.#options;
    const { pinned } = files;
    const waiting = this.#governed(files.waiting, governance);
    const known = [pinned, waiting].flatMap((signed) => signed?.roster ?? []);
    const view = { governance: { ...governance, federation }, known, own, nowMs: clock.now() };
    const { accepted, fault } = judgeChain(chain, view);
    // site-check: roster-succession
    if (fault !== undefined) this.#refuse(fault);
    const newest = accepted ?? waiting;
    if (newest === undefined) return;
    const asks = weakens(rosterDiff(pinned?.roster, newest.roster)) && governance.additions === "approve";
    if (!asks) this.#pin(newest);
    else if (accepted !== undefined) this.#keepWaiting(accepted);
  }

  /** What waits, and what it would change. */
  pending(): { readonly signed: SignedRoster; readonly diff: RosterDiff } | undefined {
    const { waiting, pinned } = this.#options.files;
    return waiting && { signed: waiting, diff: rosterDiff(pinned?.roster, waiting.roster) };
  }

  /**
   * A person of this site says yes to the roster that waits.
   * @throws ConsiliumError "not-found" when none waits, or not this version; "roster-refused" by the policy's keys
   */
  approve(version: number | undefined, governance: Policy["governance"]): SignedRoster {
    const waiting = this.#governed(this.#options.files.waiting, governance);
    if (waiting === undefined || (version !== undefined && waiting.roster.version !== version)) {
      throw new ConsiliumError(
        "not-found",
        `no roster${version === undefined ? "" : ` of version ${version}`} waits here`,
        {
          remedy: "see 'consilium-agent roster show', or ask the coordinator with 'consilium-agent roster fetch'",
        },
      );
    }
    this.#pin(waiting);
    return waiting;
  }

  #governed(signed: SignedRoster | undefined, governance: Policy["governance"]): SignedRoster | undefined {
    const { federation } = this.#options;
    return signed !== undefined && isGoverned(signed, { ...governance, federation }) ? signed : undefined;
  }

  #requireInForce(pinned: SignedRoster, governance: Policy["governance"]): void {
    const { version, validUntil } = pinned.roster;
    const remedy = "ask the holders of the governance keys for a new roster, then 'consilium-agent roster fetch'";
    // site-check: pinned-roster-governed
    if (this.#governed(pinned, governance) === undefined) {
      const message = `too few of the keys in the policy have signed version ${version} of the roster`;
      throw new GovernanceRefusal("governance.roster", message, remedy);
    }
    // site-check: pinned-roster-valid
    if (isExpired(pinned.roster, this.#options.clock.now())) {
      throw new GovernanceRefusal("governance.roster", `version ${version} was valid until ${validUntil}`, remedy);
    }
  }

  #pin(signed: SignedRoster): void {
    const { files, audit, logger } = this.#options;
    audit.record({ action: "roster.pinned", object: objectOf(signed) });
    files.pin(signed);
    logger.info("roster-pinned", objectOf(signed));
  }

  #keepWaiting(signed: SignedRoster): void {
    const { files, audit, logger } = this.#options;
    files.keepWaiting(signed);
    audit.record({ action: "roster.waiting", object: objectOf(signed) });
    logger.warn("roster-waits", { ...objectOf(signed), remedy: "consilium-agent roster approve" });
  }

  #refuse(fault: RosterFault): void {
    const { audit, logger, onRefused } = this.#options;
    onRefused(fault);
    audit.record({ action: "roster.refused", object: {}, outcome: "refused", reason: fault });
    logger.error("roster-refused", { fault, reason: rosterFaults[fault] });
  }
}

const objectOf = ({ roster }: SignedRoster) => ({ version: roster.version, roster: rosterDigest(roster) });

/** Removals count from the moment that they are known, also in a roster that otherwise waits. */
function remaining(members: Map<string, Uint8Array>, newer: Roster | undefined): Map<string, Uint8Array> {
  if (newer === undefined) return members;
  const left = membersOf(newer);
  return new Map([...members].filter(([siteId, key]) => sameBytes(left.get(siteId) ?? new Uint8Array(), key)));
}

/** @throws GovernanceRefusal "governance.keys" */
export function requireKeys({ keys }: Policy["governance"]): void {
  if (keys.length > 0) return;
  const message = "the policy pins no governance key, so nobody is known to be a hospital";
  const remedy = "write the federation's keys into policy.yaml: governance: { keys: [ed25519:…], threshold: 2 }";
  throw new GovernanceRefusal("governance.keys", message, remedy);
}

function requirePinned(pinned: SignedRoster | undefined, waiting: SignedRoster | undefined): SignedRoster {
  if (pinned !== undefined) return pinned;
  if (waiting !== undefined) throw awaitsApproval(waiting.roster);
  const message = "this site has no roster that the policy's governance keys have signed";
  throw new GovernanceRefusal("governance.roster", message, "ask the operator to publish one");
}

function requireSameRoster(plan: RoundPlan, pinned: Roster, waiting: Roster | undefined): void {
  if (names(plan, pinned)) return;
  if (waiting !== undefined && names(plan, waiting)) throw awaitsApproval(waiting);
  const message = `the plan goes by another roster than version ${pinned.version}, which this site follows`;
  throw new GovernanceRefusal("governance.roster", message, "see 'consilium-agent roster show' and the agent's log");
}

function names({ rosterVersion, rosterDigest: digest }: RoundPlan, roster: Roster): boolean {
  return rosterVersion === roster.version && Buffer.from(digest).toString("hex") === rosterDigest(roster);
}

function requireOwnEntry(listed: Uint8Array | undefined, own: SiteRosterOptions["own"]): void {
  if (listed !== undefined && sameBytes(listed, own.identityKey)) return;
  const remedy = "give the key that 'consilium-agent identity' prints to the holders of the governance keys";
  throw new GovernanceRefusal("governance.roster", `${own.siteId} is not an active site of the roster`, remedy);
}

function awaitsApproval({ version }: Roster): GovernanceRefusal {
  const message = `version ${version} of the roster adds sites and waits for a person of this site`;
  return new GovernanceRefusal("governance.additions", message, "see and approve it: 'consilium-agent roster approve'");
}
