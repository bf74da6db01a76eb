import { resolve } from "node:path";
import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { lockHolder } from "../agent-lock.js";
import { waySchema } from "../config.js";
import type { WaySettings } from "../coordinator-proxy.js";
import { governancePins } from "../governance/governance-pins.js";
import type { SiteHome } from "../home.js";
import type { JoinReport } from "../join.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface JoinFlags {
  readonly home?: string;
  readonly data?: string;
  readonly proxy?: string;
  readonly proxyCredentials?: string;
  readonly governanceKey: readonly string[];
  readonly governanceThreshold?: number;
}

const governanceHelp =
  "public key of a holder of a governance key, or a file of them, for a new policy.yaml; may be repeated";

export function addJoin(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("join")
    .description("join a federation: make this site's keys and have the coordinator certify them")
    .argument("<invitation>", "the line that the coordinator's operator gave you; it can be used once")
    .option("--home <dir>", homeHelp)
    .option("--data <dir>", "folder of images to name in a new site.yaml")
    .option("--governance-key <key>", governanceHelp, (key: string, before: string[]) => [...before, key], [])
    .option(
      "--governance-threshold <keys>",
      "how many of them must have signed a roster (default: more than half)",
      count,
    )
    .option(
      "--proxy <url>",
      "HTTP proxy to the coordinator, for a new site.yaml; none: go straight whatever the environment says",
    )
    .option("--proxy-credentials <file>", "file with user:password for the proxy, for a new site.yaml")
    .action(async (invitation: string, options: JoinFlags) => {
      const governance = governancePins(options.governanceKey, options.governanceThreshold);
      const home = homeOf(options.home, surroundings);
      const output = outputOf(command, surroundings);
      output.note("making keys and asking the coordinator for a certificate");
      const dataPath = options.data === undefined ? {} : { dataPath: resolve(options.data) };
      const pins = governance === undefined ? {} : { governance };
      const way = wayOf(options);
      const report = await surroundings.join({
        ...{ home, invitation, ...dataPath, ...pins },
        ...(way === undefined ? {} : { way }),
      });
      const homeOption = options.home === undefined ? "" : ` --home ${options.home}`;
      output.result(report, () => joinLines(report, home, homeOption));
    });
  example(
    command,
    "consilium-agent join consilium-invite-v1.eyJmZ… --data /srv/images",
    "consilium-agent join consilium-invite-v1.eyJmZ… --governance-key ed25519:9f2c… --governance-key ed25519:41d0…",
  );
}

/** Undefined where nothing was said. @throws ConsiliumError "config-invalid", as for the same text in site.yaml */
function wayOf({ proxy, proxyCredentials: file }: JoinFlags): WaySettings | undefined {
  if (proxy === undefined && file === undefined) return undefined;
  const text = JSON.stringify({ proxy, proxyCredentials: file === undefined ? undefined : resolve(file) });
  return parseYaml(text, waySchema, "--proxy");
}

function joinLines(report: JoinReport, home: SiteHome, homeOption: string): string[] {
  return [
    `joined ${report.federation} as ${report.siteId}`,
    "",
    ...fieldLines([
      ["coordinator", report.coordinator],
      ["certificate", `valid until ${formatInstant(report.certificateExpiresMs)}`],
      ["home", home.root],
      ["identity", groups(report.identityFingerprint)],
      ["governance", governanceLine(report)],
    ]),
    "",
    "Next:",
    "  1. Read the identity to the coordinator's operator by telephone; 'consilium site list' must show the same.",
    `  2. Look through ${home.siteYaml} (where the images are) and ${home.policyYaml} (what may run).`,
    ...(report.governanceKeys > 0
      ? []
      : ["     Write the federation's governance keys into it: without them every run is refused."]),
    `  3. consilium-agent check-data${homeOption}`,
    `  4. ${startLine(home, homeOption)}`,
    `  5. Each run waits until you grant it: consilium-agent approvals list${homeOption}`,
    "     Only where the policy says jobs.approval: automatic is nobody asked.",
  ];
}

function governanceLine({ governanceKeys }: JoinReport): string {
  if (governanceKeys === 0) return "no key is pinned yet";
  return `${governanceKeys} ${governanceKeys === 1 ? "key is" : "keys are"} pinned`;
}

/** An agent reads its certificate when it starts. */
function startLine(home: SiteHome, homeOption: string): string {
  const pid = lockHolder(home.lock);
  const command = `consilium-agent run${homeOption}`;
  return pid === undefined ? command : `Stop the agent that runs (process ${pid}) and start it again: ${command}`;
}

/** Groups of eight are easier to read aloud. */
function groups(fingerprint: string): string {
  return fingerprint.replaceAll(/(.{8})(?=.)/g, "$1 ");
}

function count(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a number of keys, 1 or more.");
}
