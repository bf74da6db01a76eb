import { existsSync } from "node:fs";
import { basename } from "node:path";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { InvalidArgumentError } from "commander";
import type { AuditEvent } from "../audit/audit-entry.js";
import type { EntryFilter } from "../audit/read-log.js";
import { listSegments, segmentPath } from "../audit/segments.js";
import { openSiteLog } from "../audit/site-log.js";
import { auditSettings } from "../config.js";
import type { SiteHome } from "../home.js";
import type { Surroundings } from "./surroundings.js";

/**
 * Writes that a command was run to the audit log of a home, signed; nothing where no site has joined there.
 * @throws ConsiliumError "storage" when the log cannot be written.
 */
export async function recordCommand(home: SiteHome, { clock }: Surroundings, event: AuditEvent): Promise<void> {
  if (!existsSync(home.identity.identityKey)) return;
  const identity = await IdentityKey.load(home.identity.identityKey);
  const log = openSiteLog({ home, settings: auditSettings(home), identity, clock, role: "operator" });
  try {
    log.record(event);
  } finally {
    log.close();
  }
}

/** Reading the log is an event of the log; that it could not be written is said, but hides nothing from the reader. */
export async function recordReading(home: SiteHome, surroundings: Surroundings, command: string): Promise<void> {
  try {
    await recordCommand(home, surroundings, { action: "log.read", object: { command } });
  } catch (thrown) {
    surroundings.stderr.write(`not recorded that the log was read: ${asConsiliumError(thrown).message}\n`);
  }
}

/** @throws ConsiliumError "not-found" where the home has no audit log. */
export function requireLog(home: SiteHome): string {
  return requireSegments(home.audit, "name the agent's home with --home");
}

/** No log is not one that nothing was taken from. @throws ConsiliumError "not-found" */
export function requireSegments(directory: string, remedy: string): string {
  if (listSegments(directory).length > 0) return directory;
  throw new ConsiliumError("not-found", `${directory}: no audit log is there (no ${basename(segmentPath("", 1))})`, {
    remedy,
  });
}

/** Options of commands that look for entries. */
export interface FilterOptions {
  readonly since?: number;
  readonly action?: string;
  readonly run?: string;
}

export function filterOf({ since, action, run }: FilterOptions): EntryFilter {
  return {
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(action === undefined ? {} : { action }),
    ...(run === undefined ? {} : { run }),
  };
}

const unitsMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "2026-01-31", "2026-01-31T08:00Z", or a time before now such as "90m", "12h" or "7d". */
export function parseSince(nowMs: number): (text: string) => number {
  return (text) => {
    const [, amount, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
    if (amount !== undefined && (unit === "m" || unit === "h" || unit === "d")) {
      return nowMs - Number(amount) * unitsMs[unit];
    }
    const at = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isFinite(at)) return at;
    throw new InvalidArgumentError("It must be a date such as 2026-01-31, or a time before now such as 12h or 7d.");
  };
}
