import { formatPublicKey, rawPublicKey } from "../identity/public-key-text.js";
import { type Roster, rosterDigest } from "./roster.js";
import { type SignedRoster, signersOf } from "./signed-roster.js";

/** Whose word on membership counts: pinned by each site, out of band. */
export interface Governance {
  readonly federation: string;
  /** Public keys as `publicKeyText` has them. */
  readonly keys: readonly string[];
  /** How many of them must have signed. */
  readonly threshold: number;
}

export const rosterFaults = {
  federation: "it is of another federation",
  signatures: "too few of the pinned governance keys have signed it",
  "own-key": "it names another identity key for this site than the site has",
  old: "it is older than the one that is known here",
  fork: "another roster of the same version is known here, and both are signed",
  gap: "versions between it and the one that is known here are missing",
  chain: "it does not follow the one that is known here",
  expired: "it is not valid any more",
} as const;

/** Why a roster is not followed. "fork" proves that governance keys signed two histories. */
export type RosterFault = keyof typeof rosterFaults;

export interface RosterView {
  readonly governance: Governance;
  /** Versions that were verified before, oldest first; the last is the newest. */
  readonly known: readonly Roster[];
  readonly own: { readonly siteId: string; readonly identityKey: Uint8Array };
  readonly nowMs: number;
}

export type RosterVerdict =
  | { readonly kind: "follows" }
  /** It is the newest that is known already. */
  | { readonly kind: "known" }
  | { readonly kind: "refused"; readonly fault: RosterFault };

const refused = (fault: RosterFault): RosterVerdict => ({ kind: "refused", fault });

/** Signatures, federation, own entry: what holds for the newest roster by itself, whatever came before. */
export function faultInRoster(signed: SignedRoster, { governance, own }: RosterView): RosterFault | undefined {
  if (signed.roster.federation !== governance.federation) return "federation";
  if (!isGoverned(signed, governance)) return "signatures";
  const entry = signed.roster.sites.find(({ siteId }) => siteId === own.siteId);
  return entry !== undefined && entry.identityKey !== formatPublicKey(own.identityKey) ? "own-key" : undefined;
}

/** At least `threshold` distinct pinned keys have signed; other signatures do not count. */
export function isGoverned(signed: SignedRoster, { keys, threshold }: Governance): boolean {
  const signers = signersOf(signed);
  return threshold >= 1 && new Set(keys.filter((key) => signers.has(key))).size >= threshold;
}

export function isExpired({ validUntil }: Roster, nowMs: number): boolean {
  return nowMs >= Date.parse(validUntil);
}

/**
 * Whether a roster may follow those that are known: versions rise by one, each names the digest of the one before. A
 * site that knows none takes any version, since it has nothing to compare with.
 */
export function judgeRoster(signed: SignedRoster, view: RosterView): RosterVerdict {
  const fault = faultInRoster(signed, view);
  if (fault !== undefined) return refused(fault);
  const succession = judgeSuccession(signed.roster, view.known);
  if (succession.kind === "refused") return succession;
  return isExpired(signed.roster, view.nowMs) ? refused("expired") : succession;
}

/** The newest of a chain of rosters that may be followed, and why no later one is. */
export interface ChainVerdict {
  readonly accepted: SignedRoster | undefined;
  readonly fault: RosterFault | undefined;
}

/**
 * Judges rosters in order; only the newest needs to be valid now, and to name this site's own key, which may be newer than
 * the others. Stops at the first that is refused.
 */
export function judgeChain(chain: readonly SignedRoster[], view: RosterView): ChainVerdict {
  let known = view.known;
  let accepted: SignedRoster | undefined;
  const newest = chain.at(-1);
  for (const signed of known.length === 0 ? chain.slice(-1) : chain) {
    const verdict = judgeRoster(
      signed,
      signed === newest ? { ...view, known } : { ...view, known, ...passedOver(signed, view) },
    );
    if (verdict.kind === "refused") return { accepted, fault: verdict.fault };
    if (verdict.kind === "known") continue;
    known = [...known, signed.roster];
    accepted = signed;
  }
  return { accepted, fault: undefined };
}

/** What a roster with a newer one after it is judged by. */
function passedOver({ roster }: SignedRoster, { own }: RosterView): Pick<RosterView, "own" | "nowMs"> {
  const entry = roster.sites.find(({ siteId }) => siteId === own.siteId);
  return { nowMs: 0, own: entry === undefined ? own : { ...own, identityKey: rawPublicKey(entry.identityKey) } };
}

function judgeSuccession(roster: Roster, known: readonly Roster[]): RosterVerdict {
  const newest = known.at(-1);
  if (newest === undefined) return { kind: "follows" };
  const digest = rosterDigest(roster);
  const sameVersion = known.find(({ version }) => version === roster.version);
  if (sameVersion !== undefined && rosterDigest(sameVersion) !== digest) return refused("fork");
  if (sameVersion === newest) return { kind: "known" };
  if (roster.version <= newest.version) return refused("old");
  if (roster.version > newest.version + 1) return refused("gap");
  return roster.previous === rosterDigest(newest) ? { kind: "follows" } : refused("chain");
}
