import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writePublicFile } from "@consilium/shared/durable-files.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { firstRoster, withoutSite, withSite } from "@consilium/shared/roster/edit-roster.js";
import type { RosterFloors } from "@consilium/shared/roster/roster.js";
import { type SignedRoster, signedRosterText, withSignature } from "@consilium/shared/roster/signed-roster.js";

const holders = 3;
const threshold = 2;
const yearMs = 365 * 86_400_000;

/** The holders of a federation's governance keys, two of three of whom decide who is a hospital; offline, in a folder. */
export class Council {
  readonly rosterFile: string;
  readonly #directory: string;
  readonly #keys: readonly IdentityKey[];
  #roster: SignedRoster;

  private constructor(directory: string, keys: readonly IdentityKey[], roster: SignedRoster) {
    this.rosterFile = join(directory, "roster.json");
    this.#directory = directory;
    this.#keys = keys;
    this.#roster = roster;
  }

  static async found(directory: string, federation: string, floors: RosterFloors): Promise<Council> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const keys = Array.from({ length: holders }, () => IdentityKey.generate());
    for (const [index, key] of keys.entries()) await key.save(join(directory, `holder-${index + 1}.pem`));
    return new Council(directory, keys, firstRoster(federation, floors, times()));
  }

  /** The section of a site's policy that pins the council's keys. */
  policy(additions: "approve" | "automatic") {
    return { keys: this.#keys.map(({ publicKey }) => formatPublicKey(publicKey)), threshold, additions };
  }

  /** Adds sites by their raw identity keys, and signs. */
  async admit(sites: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const add = (roster: SignedRoster, [siteId, key]: [string, Uint8Array]) =>
      withSite(roster, { siteId, organisation: `Hospital ${siteId}`, identityKey: formatPublicKey(key) }, times());
    await this.#sign(Object.entries(sites).reduce(add, this.#roster));
  }

  async expel(siteId: string): Promise<void> {
    await this.#sign(withoutSite(this.#roster, siteId, times()));
  }

  async #sign(draft: SignedRoster): Promise<void> {
    this.#roster = this.#keys.slice(0, threshold).reduce(withSignature, draft);
    await writePublicFile(join(this.#directory, "roster.json"), signedRosterText(this.#roster));
  }
}

function times() {
  const nowMs = Date.now();
  return { nowMs, validUntilMs: nowMs + yearMs };
}
