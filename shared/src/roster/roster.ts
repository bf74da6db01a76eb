import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson } from "../canonical-json.js";
import { siteIdSchema } from "../config/run-config.js";
import { rotationHolds } from "../identity/key-rotation.js";
import { publicKeyText, rawPublicKey } from "../identity/public-key-text.js";

/**
 * Who is a hospital of a federation. Decided by the holders of governance keys, who sign it offline; every site pins
 * their public keys, so that neither the coordinator nor its certificate authority can add a member.
 */

/** The digest that the first version names as its predecessor's. */
export const noPredecessor = "0".repeat(64);

export const mostRosterSites = 1000;

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hex digits");
const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "must be an instant such as 2027-01-31T00:00:00Z")
  .refine((text) => Number.isFinite(Date.parse(text)), "must be an instant that exists");
/** A line of printable text: it is shown to people who decide by it. */
const organisation = z
  .string()
  .regex(/^[^\p{C}\p{Z}](?:[^\p{C}\p{Zl}\p{Zp}]{0,198}[^\p{C}\p{Z}])?$/u, "must be a line of text");

const rosterSiteSchema = z.strictObject({
  siteId: siteIdSchema,
  organisation,
  /** Verifies the site's key adverts in masked aggregation. */
  identityKey: publicKeyText,
  /** A site that was removed stays listed, so that its id and key are not given to another. */
  status: z.enum(["active", "removed"]),
  /** When it got this status, or this key. */
  since: instant,
  /** The key that this one follows, and that key's signature under it (`signRotation`), hex. Absent: a first key, or a lost one. */
  replaces: z.strictObject({ key: publicKeyText, signature: z.string().regex(/^[0-9a-f]{128}$/) }).optional(),
});

const floorsSchema = z.strictObject({
  /** Fewest sites in a sum of any run. */
  minCohort: z.int().min(2).max(mostRosterSites),
  /** Colluding sites that the masking of any run must withstand. */
  maxColluders: z.int().min(0).max(mostRosterSites),
});

export const rosterSchema = z
  .strictObject({
    format: z.literal("consilium-roster-1"),
    federation: z.string().regex(/^[a-z0-9-]{1,63}$/, "must be the name of a federation"),
    /** From 1, without a gap. */
    version: z.int().min(1).max(1_000_000_000),
    /** SHA-256 of the version before, as `rosterDigest` gives it; zeros in the first. */
    previous: hexDigest,
    /** Sorted by id. */
    sites: z.array(rosterSiteSchema).max(mostRosterSites),
    floors: floorsSchema,
    /** No site follows the roster after this instant. */
    validUntil: instant,
  })
  .superRefine(({ federation, sites, version, previous, floors }, context) => {
    const problem = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (!sites.every(({ siteId }, i) => i === 0 || sites[i - 1]!.siteId < siteId)) {
      problem("sites", "must be sorted by id, each id once");
    }
    const holders = new Map<string, string>();
    for (const { siteId, identityKey } of sites) {
      const other = holders.get(identityKey);
      if (other !== undefined) problem("sites", `must not hold a key twice: ${other} and ${siteId} have the same`);
      holders.set(identityKey, siteId);
    }
    for (const { siteId, identityKey: key, replaces } of sites) {
      if (replaces === undefined) continue;
      const rotation = { federation, siteId, before: replaces.key, key };
      if (!rotationHolds(rotation, Buffer.from(replaces.signature, "hex")))
        problem("sites", `must not say that the key before signed the one of ${siteId}: it did not`);
    }
    if ((version === 1) !== (previous === noPredecessor))
      problem("previous", "must be zeros in version 1 and only there");
    if (floors.minCohort < floors.maxColluders + 2) {
      problem("floors", "must hide two honest sites: minCohort is at least maxColluders + 2");
    }
  });

export type Roster = z.output<typeof rosterSchema>;
export type RosterSite = Roster["sites"][number];
export type RosterFloors = Roster["floors"];

/** The bytes that are hashed and signed: canonical JSON (RFC 8785). */
export function rosterBytes(roster: Roster): Buffer {
  return Buffer.from(canonicalJson(roster));
}

/** SHA-256 of the roster's canonical bytes, hex. */
export function rosterDigest(roster: Roster): string {
  return createHash("sha256").update(rosterBytes(roster)).digest("hex");
}

/** Raw identity keys of the active sites, by id. */
export function membersOf({ sites }: Roster): Map<string, Uint8Array> {
  const active = sites.filter(({ status }) => status === "active");
  return new Map(active.map(({ siteId, identityKey }) => [siteId, rawPublicKey(identityKey)]));
}
