import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { membersOf, type Roster, rosterDigest } from "@consilium/shared/roster/roster.js";
import {
  parseSignedRoster,
  type SignedRoster,
  signedRosterBytes,
  signersOf,
} from "@consilium/shared/roster/signed-roster.js";
import { isExpired } from "@consilium/shared/roster/succession.js";
import type { RosterStore } from "../store/roster-store.js";

/** The fields are those of `roster.proto`. */
export interface RosterSummary {
  readonly version: number;
  readonly digest: string;
  readonly activeSites: number;
  readonly signatures: number;
}

export interface PublishedRoster {
  readonly version: number;
  readonly digest: string;
  /** Raw identity keys of its active sites, by id. */
  readonly members: ReadonlyMap<string, Uint8Array>;
}

export interface RosterDeskOptions {
  readonly federation: string;
  readonly store: RosterStore;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Keeps what the holders of governance keys have signed, and hands it on. Whether the signatures suffice is for each
 * site to say, which pins the keys; here a roster is refused only where no site could follow it.
 */
export class RosterDesk {
  readonly #options: RosterDeskOptions;
  #current: PublishedRoster | undefined;

  constructor(options: RosterDeskOptions) {
    this.#options = options;
    const newest = options.store.newest();
    this.#current = newest === undefined ? undefined : published(parseSignedRoster(newest.document).roster);
  }

  /** The roster by which sites are chosen now. */
  get current(): PublishedRoster | undefined {
    return this.#current;
  }

  /** Canonical documents of the versions after this one, oldest first. */
  documentsAfter(version: number): Uint8Array[] {
    return this.#options.store.listAfter(version).map(({ document }) => document);
  }

  newestDocument(): Uint8Array | undefined {
    return this.#options.store.newest()?.document;
  }

  /**
   * Stores the next version, or more signatures of the newest.
   * @throws ConsiliumError "roster-refused"
   */
  publish(document: Uint8Array, by: string): RosterSummary {
    const { store, clock } = this.#options;
    const signed = this.#withEarlierSignatures(parseSignedRoster(document));
    this.#requirePublishable(signed);
    const { roster } = signed;
    const digest = rosterDigest(roster);
    store.put({
      ...{ version: roster.version, digest, document: signedRosterBytes(signed) },
      ...{ publishedAtMs: clock.now(), publishedBy: by },
    });
    this.#current = published(roster);
    const { members } = this.#current;
    return { version: roster.version, digest, activeSites: members.size, signatures: signed.signatures.length };
  }

  /** People sign one after the other, perhaps each on a copy of the same file. */
  #withEarlierSignatures(signed: SignedRoster): SignedRoster {
    const stored = this.newestDocument();
    const earlier = stored === undefined ? undefined : parseSignedRoster(stored);
    if (earlier === undefined || rosterDigest(earlier.roster) !== rosterDigest(signed.roster)) return signed;
    const keys = new Set(signed.signatures.map(({ key }) => key));
    return {
      roster: signed.roster,
      signatures: [...signed.signatures, ...earlier.signatures.filter(({ key }) => !keys.has(key))],
    };
  }

  #requirePublishable(signed: SignedRoster): void {
    const { federation, clock } = this.#options;
    const { roster, signatures } = signed;
    if (roster.federation !== federation)
      throw refused(`it is of federation ${roster.federation}`, remedies.federation);
    if (signatures.length === 0) throw refused("nobody has signed it", remedies.unsigned);
    if (signersOf(signed).size !== signatures.length) {
      throw refused("a signature does not hold, or is there twice", remedies.damaged);
    }
    if (isExpired(roster, clock.now())) throw refused(`it was valid until ${roster.validUntil}`, remedies.expired);
    const { current } = this;
    if (current === undefined || rosterDigest(roster) === current.digest) return;
    if (roster.version !== current.version + 1 || roster.previous !== current.digest) {
      throw refused(`it does not follow version ${current.version}, which is the newest`, remedies.outrun);
    }
  }
}

function published(roster: Roster): PublishedRoster {
  return { version: roster.version, digest: rosterDigest(roster), members: membersOf(roster) };
}

const remedies = {
  federation: "hand it to the coordinator of that federation: --profile names another one's credentials",
  unsigned: "let the holders of governance keys sign it: 'consilium roster sign FILE --with KEY'",
  damaged: "take the file as the last holder signed it; 'consilium roster show FILE' names the signatures that hold",
  expired: "make the next version with a later date (--valid-days) and have it signed",
  outrun: "fetch the newest with 'consilium roster fetch', make the change again and have it signed",
} as const;

function refused(reason: string, remedy: string): ConsiliumError {
  return new ConsiliumError("roster-refused", `the roster cannot be published: ${reason}`, { remedy });
}
