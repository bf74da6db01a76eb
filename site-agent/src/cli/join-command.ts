import { resolve } from "node:path";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { lockHolder } from "../agent-lock.js";
import type { SiteHome } from "../home.js";
import type { JoinReport } from "../join.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addJoin(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("join")
    .description("join a federation: make this site's keys and have the coordinator certify them")
    .argument("<invitation>", "the line that the coordinator's operator gave you; it can be used once")
    .option("--home <dir>", homeHelp)
    .option("--data <dir>", "folder of images to name in a new site.yaml")
    .action(async (invitation: string, options: { home?: string; data?: string }) => {
      const home = homeOf(options.home, surroundings);
      const output = outputOf(command, surroundings);
      output.note("making keys and asking the coordinator for a certificate");
      const dataPath = options.data === undefined ? {} : { dataPath: resolve(options.data) };
      const report = await surroundings.join({ home, invitation, ...dataPath });
      const homeOption = options.home === undefined ? "" : ` --home ${options.home}`;
      output.result(report, () => joinLines(report, home, homeOption));
    });
  example(command, "consilium-agent join consilium-invite-v1.eyJmZ… --data /srv/images");
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
    ]),
    "",
    "Next:",
    "  1. Read the identity to the coordinator's operator by telephone; 'consilium site list' must show the same.",
    `  2. Look through ${home.siteYaml} (where the images are) and ${home.policyYaml} (what may run).`,
    `  3. consilium-agent check-data${homeOption}`,
    `  4. ${startLine(home, homeOption)}`,
  ];
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
