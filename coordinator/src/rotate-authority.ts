import type { Clock } from "@consilium/shared/clock.js";
import { beginRollover } from "@consilium/shared/identity/certificate-authority.js";
import { homePaths, loadCoordinatorConfig } from "./config.js";
import { openDatabase } from "./store/database.js";
import { lockHome } from "./store/lock.js";
import { createSiteStore } from "./store/sqlite-site-store.js";

/**
 * Begins the change to a new certificate authority in a home whose coordinator does not run. Both authorities count for
 * as long as a site's certificate lives, and until the last one that was issued when they lived longer has expired: every
 * site that is in touch has renewed its own by then.
 * @returns when the older one ends, milliseconds since the epoch
 * @throws ConsiliumError "already-exists" while the coordinator runs or another change goes on, "config-missing"
 */
export async function rotateAuthority(home: string, clock: Clock): Promise<number> {
  const paths = homePaths(home);
  const { certificates } = loadCoordinatorConfig(home);
  const lock = lockHome(paths.lock);
  try {
    const endsMs = Math.max(clock.now() + certificates.sites, lastExpiryMs(paths.database, clock));
    await beginRollover(paths.authority, { endsMs, clock });
    return endsMs;
  } finally {
    lock.release();
  }
}

function lastExpiryMs(path: string, clock: Clock): number {
  const database = openDatabase(path, clock.now());
  try {
    return createSiteStore(database).lastExpiryMs() ?? 0;
  } finally {
    database.close();
  }
}
