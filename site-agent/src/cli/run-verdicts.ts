import { systemClock } from "@consilium/shared/clock.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { silentLogger } from "@consilium/shared/log.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import type { RosterFloors } from "@consilium/shared/roster/roster.js";
import { lanesFor } from "@consilium/shared/secagg/lanes.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import type { ApprovalSubject } from "../approvals/approval.js";
import { RunHistory } from "../approvals/run-history.js";
import { datasetId } from "../audit/site-log.js";
import { dataSettings, policyPath, type SiteConfig } from "../config.js";
import { countImages } from "../data/count-images.js";
import { loadEnrolment } from "../enrolment.js";
import { GovernanceRefusal } from "../governance/governance-refusal.js";
import { RosterFiles } from "../governance/roster-files.js";
import { SiteRoster } from "../governance/site-roster.js";
import type { SiteHome } from "../home.js";
import { loadPolicy, type Policy } from "../policy.js";
import { type ClauseVerdict, judgePolicy, type PlanFacts } from "../policy-check.js";
import { withFloors } from "../policy-floors.js";
import { privacyAccount } from "../privacy/open-account.js";
import { joinedConfig } from "./site-config.js";

export interface RunVerdicts {
  /** Of every clause, in the order in which the agent asks them. */
  readonly clauses: readonly ClauseVerdict[];
  /** No clause refuses. */
  readonly allowed: boolean;
  /** Why the site's images could not be counted, where that is so. */
  readonly uncounted?: string;
  /** What to do where not the run is at fault but the roster: every plan is refused then. */
  readonly remedy?: string;
}

/**
 * What the policy of a home says of the plans that a coordinator makes of a run's configuration.
 * @throws ConsiliumError "config-missing" where no site has joined, "config-invalid" naming every bad line.
 */
export async function verdictsOn(
  config: RunConfig,
  { home, approval, run }: { home: SiteHome; approval: PlanFacts["approval"]; run?: ApprovalSubject },
): Promise<RunVerdicts> {
  const siteConfig = joinedConfig(home);
  const { federation } = loadEnrolment(home);
  const written = loadPolicy(policyPath(home, siteConfig));
  const roster = await rosterVerdict(home, written);
  const policy = roster.floors === undefined ? written : withFloors(written, roster.floors);
  const { localSamples, uncounted } = await counted(home, siteConfig);
  const { dimension: parameters } = checkpointLayout(config);
  const account = privacyAccount(home, dataSettings(home, siteConfig));
  const privacy = await account.assess(config, policy.dp, { firstStep: 0, dimension: parameters });
  const runPlace = new RunHistory(home.runHistory, datasetId(dataSettings(home, siteConfig))).placeOf(run);
  const ofPolicy = judgePolicy({
    plan: {
      federation,
      minCohort: config.cohort.minSites,
      colluders: config.cohort.colluders,
      lanes: lanesFor(config),
    },
    config,
    policy,
    facts: { parameters, localSamples, approval, privacy, runPlace },
  });
  const clauses = [...roster.clauses, ...ofPolicy];
  const allowed = !clauses.some(({ verdict }) => verdict === "refused");
  const { remedy } = roster;
  return {
    ...{ clauses, allowed },
    ...(uncounted === undefined ? {} : { uncounted }),
    ...(remedy === undefined ? {} : { remedy }),
  };
}

interface RosterVerdict {
  readonly clauses: readonly ClauseVerdict[];
  readonly floors?: RosterFloors;
  readonly remedy?: string | undefined;
}

/** Whether this site follows a roster by which any plan could be followed; what it asks for besides the policy. */
async function rosterVerdict(home: SiteHome, { governance }: Policy): Promise<RosterVerdict> {
  const { federation, siteId } = loadEnrolment(home);
  const { publicKey } = await IdentityKey.load(home.identity.identityKey);
  const roster = new SiteRoster({
    ...{ federation, clock: systemClock, logger: silentLogger, files: new RosterFiles(home.governance) },
    own: { siteId, identityKey: publicKey },
    // Looks only.
    ...{ audit: { record() {} }, fetch: async () => [], onRefused() {} },
  });
  try {
    return { clauses: [], floors: roster.requireMembership(governance).floors };
  } catch (thrown) {
    if (!(thrown instanceof GovernanceRefusal)) throw thrown;
    const { clause, message: reason, remedy } = thrown;
    return { clauses: [{ clause, asked: "any run", allows: reason, verdict: "refused", reason }], remedy };
  }
}

/** An archive that does not answer now leaves the clause about images open; it says nothing about the run. */
async function counted(home: SiteHome, config: SiteConfig): Promise<{ localSamples?: number; uncounted?: string }> {
  try {
    return { localSamples: await countImages(dataSettings(home, config)) };
  } catch (thrown) {
    if (!(thrown instanceof ConsiliumError)) throw thrown;
    return { uncounted: thrown.message };
  }
}

const verdictText = { allowed: "allowed", refused: "refused", open: "decided when the round begins" } as const;

export function verdictTable(clauses: readonly ClauseVerdict[]): string[] {
  const columns = ["clause", "the run asks", "the policy allows", "verdict"].map((title) => ({ title, maxWidth: 60 }));
  return tableLines(
    columns,
    clauses.map(({ clause, asked, allows, verdict }) => [clause, asked, allows, verdictText[verdict]]),
  );
}

/** "refused by jobs.maxRounds and jobs.methods", or what is still to be decided. */
export function overallVerdict({ clauses, allowed }: RunVerdicts): string {
  const named = (wanted: ClauseVerdict["verdict"]) =>
    clauses.filter(({ verdict }) => verdict === wanted).map(({ clause }) => clause);
  if (!allowed) return `refused by ${named("refused").join(", ")}`;
  const open = named("open");
  return open.length === 0 ? "allowed" : `allowed, unless ${open.join(", ")} says no when the round begins`;
}
