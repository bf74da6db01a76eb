import { asConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import { type RosterFault, rosterFaults } from "@consilium/shared/roster/succession.js";
import { EgressRecord } from "../audit/egress-record.js";
import { openSiteLog } from "../audit/site-log.js";
import { loadSiteConfig, policyPath } from "../config.js";
import { coordinatorProxy } from "../coordinator-proxy.js";
import { loadEnrolment } from "../enrolment.js";
import { RosterFiles } from "../governance/roster-files.js";
import { SiteRoster } from "../governance/site-roster.js";
import type { SiteHome } from "../home.js";
import { loadPolicy, type Policy } from "../policy.js";
import type { Surroundings } from "./surroundings.js";

export interface RosterSession {
  readonly roster: SiteRoster;
  readonly governance: Policy["governance"];
  /** Why rosters were refused meanwhile. */
  readonly faults: readonly string[];
}

/**
 * The roster of a home for a command, beside the agent that may run; the command is in the audit log before it acts.
 * @throws ConsiliumError "config-missing" where no site has joined, "config-invalid" for its policy
 */
export async function withRoster<Result>(
  { home, command, surroundings }: { home: SiteHome; command: string; surroundings: Surroundings },
  task: (session: RosterSession) => Promise<Result> | Result,
): Promise<Result> {
  const { clock } = surroundings;
  const enrolment = loadEnrolment(home);
  const config = loadSiteConfig(home);
  const { governance } = loadPolicy(policyPath(home, config));
  const identity = await IdentityKey.load(home.identity.identityKey);
  const logger = surroundings.createLogger("silent");
  const log = openSiteLog({ home, settings: config.audit, identity, clock, role: "operator" });
  const egress = new EgressRecord({ trail: log, logger });
  const faults: string[] = [];
  try {
    log.record({ action: "command.run", object: { command } });
    const roster = new SiteRoster({
      ...{ federation: enrolment.federation, clock, logger, audit: log, files: new RosterFiles(home.governance) },
      own: { siteId: enrolment.siteId, identityKey: identity.publicKey },
      fetch: async (afterVersion) => {
        const bundle = await loadTlsBundle(home.identity.directory);
        const proxy = coordinatorProxy({ home, environment: surroundings.env, host: enrolment.host });
        return surroundings.askForRosters({ enrolment, bundle, egress, proxy }, afterVersion);
      },
      onRefused: (fault: RosterFault) => faults.push(rosterFaults[fault]),
    });
    return await task({ roster, governance, faults });
  } catch (thrown) {
    const { code } = asConsiliumError(thrown);
    log.record({ action: "command.run", object: { command }, outcome: "failure", reason: code });
    throw thrown;
  } finally {
    egress.flush();
    log.close();
  }
}
