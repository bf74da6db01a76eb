import { existsSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import type { Clock } from "@consilium/shared/clock.js";
import { writePublicFile } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { signRotation } from "@consilium/shared/identity/key-rotation.js";
import { formatPublicKey, publicKeyText } from "@consilium/shared/identity/public-key-text.js";
import { z } from "zod";
import { lockHome } from "./agent-lock.js";
import { openSiteLog } from "./audit/site-log.js";
import { auditSettings } from "./config.js";
import { loadEnrolment } from "./enrolment.js";
import { RosterFiles } from "./governance/roster-files.js";
import type { SiteHome } from "./home.js";

const rotationSchema = z.strictObject({
  before: publicKeyText,
  key: publicKeyText,
  /** The old key's under the new one (`signRotation`), hex; absent where the old key was lost. */
  signature: z
    .string()
    .regex(/^[0-9a-f]{128}$/)
    .optional(),
});

/** What the holders of governance keys need to give a site its new key in the roster. */
export type IdentityRotation = z.output<typeof rotationSchema>;

/**
 * Gives the site a new identity key; the old one is overwritten. The audit log says so, and later entries are signed by
 * the new key. Until the roster names the new key, every plan is refused here, and the old one is accepted elsewhere.
 * @throws ConsiliumError "already-exists" while the agent runs, "config-missing" where no site has joined, or has neither
 * a key nor a roster that names one, "input-unreadable" for a damaged key
 */
export async function rotateIdentity(home: SiteHome, clock: Pick<Clock, "now">): Promise<IdentityRotation> {
  const { federation, siteId } = loadEnrolment(home);
  const unlock = lockHome(home.lock);
  try {
    const { identityKey } = home.identity;
    const old = existsSync(identityKey) ? await IdentityKey.load(identityKey) : undefined;
    const before = old === undefined ? keyOnRoster(home, siteId) : formatPublicKey(old.publicKey);
    if (old !== undefined) signLog(home, old, clock);
    // Kept until it counts: a command that is cut off goes on with the same key.
    const next = await IdentityKey.loadOrCreate(`${identityKey}.next`);
    const key = formatPublicKey(next.publicKey);
    const signature = old && Buffer.from(signRotation(old, { federation, siteId, key })).toString("hex");
    const rotation = { before, key, ...(signature === undefined ? {} : { signature }) };
    await writePublicFile(rotationFile(home), `${JSON.stringify(rotation, null, 2)}\n`);
    recordRotation(home, next, { clock, rotation });
    await rename(`${identityKey}.next`, identityKey);
    return rotation;
  } finally {
    unlock();
  }
}

/** The change that led to this key, as long as the site has it. */
export function rotationTo(home: SiteHome, key: string): IdentityRotation | undefined {
  try {
    const rotation = rotationSchema.parse(JSON.parse(readFileSync(rotationFile(home), "utf8")));
    return rotation.key === key ? rotation : undefined;
  } catch {
    // The site has its first key.
    return undefined;
  }
}

const rotationFile = (home: SiteHome): string => `${home.identity.identityKey}.rotation.json`;

/** What the old key has not signed yet. */
function signLog(home: SiteHome, identity: IdentityKey, clock: Pick<Clock, "now">): void {
  const log = openSiteLog({ home, settings: auditSettings(home), identity, clock, role: "operator" });
  try {
    log.record({ action: "command.run", object: { command: "identity-rotate" } });
  } finally {
    log.close();
  }
}

function recordRotation(
  home: SiteHome,
  identity: IdentityKey,
  { clock, rotation }: { readonly clock: Pick<Clock, "now">; readonly rotation: IdentityRotation },
): void {
  const log = openSiteLog({ home, settings: auditSettings(home), identity, clock, role: "operator" });
  try {
    const { before, key, signature } = rotation;
    const signed = signature !== undefined;
    log.record({ action: "identity.rotated", object: { before: hexOf(before), key: hexOf(key), signed } });
  } finally {
    log.close();
  }
}

const hexOf = (key: string): string => key.slice(key.indexOf(":") + 1);

function keyOnRoster(home: SiteHome, siteId: string): string {
  const entry = new RosterFiles(home.governance).pinned?.roster.sites.find((site) => site.siteId === siteId);
  if (entry !== undefined) return entry.identityKey;
  throw new ConsiliumError("config-missing", `${home.identity.identityKey} is gone, and no roster here names its key`, {
    remedy: "restore it from a backup, or ask the operator for a new invitation: join makes a key where there is none",
  });
}
