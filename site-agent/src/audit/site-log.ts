import { createHash, createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { Clock } from "@consilium/shared/clock.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { z } from "zod";
import type { SiteHome } from "../home.js";
import type { AuditRole } from "./audit-entry.js";
import { AuditLog } from "./audit-log.js";

/** The part of site.yaml about the audit log. */
export const auditSettingsSchema = z.strictObject({
  /** A file of the log goes when its last entry is older than this. */
  retentionYears: z.number().positive().max(100).default(6),
  /** A file of the log is followed by a new one when it has this size, in MiB. */
  fileMiB: z.number().positive().max(1024).default(16),
});

export type AuditSettings = z.output<typeof auditSettingsSchema>;

const yearMs = 365.25 * 24 * 3600 * 1000;

export interface SiteLogOptions {
  readonly home: SiteHome;
  readonly settings: AuditSettings;
  readonly identity: IdentityKey;
  readonly clock: Pick<Clock, "now">;
  readonly role: AuditRole;
}

/** Opens the audit log of a home. Entries of commands name the user who ran them. */
export function openSiteLog({ home, settings, identity, clock, role }: SiteLogOptions): AuditLog {
  return new AuditLog({
    ...{ directory: home.audit, identity, clock, role, monotonic: () => performance.now() },
    actor: role === "agent" ? "agent" : currentUser(),
    segmentBytes: settings.fileMiB * 1024 ** 2,
    retentionMs: settings.retentionYears * yearMs,
  });
}

/** "user:jane", or the number of a user without a name. */
function currentUser(): string {
  try {
    const { username } = userInfo();
    if (/^[\p{L}\p{N}._@-]{1,64}$/u.test(username)) return `user:${username}`;
  } catch {
    // The system has no entry for this user, as in many containers.
  }
  return `user:${process.getuid?.() ?? "unknown"}`;
}

/** Which images a site trains on, as an id that says nothing without the site's secret: a keyed hash of where they lie. */
export function datasetId(data: {
  readonly source: string;
  readonly path: string;
  readonly nameKey?: string | undefined;
}): string {
  const { source, path, nameKey = "" } = data;
  return createHmac("sha256", nameKey).update(canonicalJson({ source, path })).digest("hex").slice(0, 16);
}

/** SHA-256 of a file's bytes, hex; undefined where there is none. */
export function digestOfFile(path: string): string | undefined {
  return existsSync(path) ? createHash("sha256").update(readFileSync(path)).digest("hex") : undefined;
}
