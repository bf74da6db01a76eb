import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import type { Environment } from "../coordinator-proxy.js";
import type { SiteHome } from "../home.js";

/** failed: the site cannot take part in rounds as it stands. warning: it can, and somebody should look. */
export type Level = "ok" | "warning" | "failed";

export interface Verdict {
  readonly level: Level;
  readonly message: string;
  readonly remedy?: string;
}

/** What one look at a site found. */
export interface Finding extends Verdict {
  readonly name: string;
}

/** What is looked at. A check changes nothing in it. */
export interface ExaminedSite {
  readonly home: SiteHome;
  readonly clock: Clock;
  /** Names the proxy where site.yaml leaves that to the environment. */
  readonly environment: Environment;
}

/** May throw: what it throws is why it failed. */
export type Check = (site: ExaminedSite) => Verdict | Promise<Verdict>;

export const ok = (message: string): Verdict => ({ level: "ok", message });
export const warning = (message: string, remedy: string): Verdict => ({ level: "warning", message, remedy });
export const failed = (message: string, remedy: string): Verdict => ({ level: "failed", message, remedy });

/** The finding of one check. Never throws. */
export async function findingOf(name: string, look: () => Verdict | Promise<Verdict>): Promise<Finding> {
  try {
    return { name, ...(await look()) };
  } catch (thrown) {
    const { message, remedy } = asConsiliumError(thrown);
    return { name, level: "failed", message, ...(remedy === undefined ? {} : { remedy }) };
  }
}
