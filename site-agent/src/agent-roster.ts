import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type { Logger } from "@consilium/shared/log.js";
import type { AgentAudit } from "./agent-audit.js";
import type { Enrolment } from "./enrolment.js";
import { everySoOften } from "./every-so-often.js";
import { RosterFiles } from "./governance/roster-files.js";
import { SiteRoster } from "./governance/site-roster.js";
import type { SiteHome } from "./home.js";
import type { AgentMetrics } from "./metrics.js";
import type { Reachability } from "./reachability.js";
import type { CoordinatorClient } from "./round/coordinator.js";

/** How soon an agent hears of a removal while no plan names the new roster. */
const catchUpEveryMs = 60_000;

export interface AgentRosterOptions {
  readonly home: SiteHome;
  readonly enrolment: Pick<Enrolment, "siteId" | "federation">;
  readonly identity: IdentityKey;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Pick<AgentAudit, "trail" | "loadPolicy">;
  readonly metrics: Pick<AgentMetrics, "rosterRefused">;
  readonly client: Pick<CoordinatorClient, "fetchRosters">;
  readonly reachability: Pick<Reachability, "lasting">;
}

export interface AgentRoster {
  readonly roster: SiteRoster;
  /** Asks for newer rosters no more. */
  readonly stop: () => void;
}

/** The roster of a running agent, which asks for newer ones by itself. */
export function openAgentRoster(options: AgentRosterOptions): AgentRoster {
  const { home, enrolment, identity, clock, logger, audit, metrics, client, reachability } = options;
  const { siteId, federation } = enrolment;
  const roster = new SiteRoster({
    ...{ federation, clock, logger, files: new RosterFiles(home.governance) },
    own: { siteId, identityKey: identity.publicKey },
    audit: audit.trail,
    fetch: (afterVersion) => client.fetchRosters(afterVersion),
    onRefused: (fault) => metrics.rosterRefused(fault),
  });
  const task = async () => {
    // Who was shut out asks as seldom as it tries to attach: a call would open the connection anew.
    if (reachability.lasting) return;
    try {
      await roster.catchUp(audit.loadPolicy().governance);
    } catch (thrown) {
      // No valid policy: the next plan says so.
      logger.debug("roster-not-fetched", { code: asConsiliumError(thrown).code });
    }
  };
  void task();
  return { roster, stop: everySoOften({ clock, everyMs: catchUpEveryMs, task }) };
}
