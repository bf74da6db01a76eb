import { ConsiliumError } from "@consilium/shared/errors.js";
import { rosterDigest } from "@consilium/shared/roster/roster.js";
import { diffLines, rosterLines } from "@consilium/shared/roster/roster-lines.js";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { loadEnrolment } from "../enrolment.js";
import { RosterFiles } from "../governance/roster-files.js";
import { requireKeys, type SiteRoster } from "../governance/site-roster.js";
import { withRoster } from "./roster-session.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

/** Which hospitals this site takes for hospitals, and a person's word on new ones. */
export function addRoster(program: Command, surroundings: Surroundings): void {
  const group = program.command("roster").description("the hospitals of the federation, as this site knows them");
  for (const add of [addShow, addFetch, addApprove]) add(group, surroundings);
  example(group, "consilium-agent roster fetch", "consilium-agent roster show", "consilium-agent roster approve 2");
}

interface HomeOption {
  readonly home?: string;
}

function addShow(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("show")
    .description("the roster that is followed, and what one that waits would change")
    .option("--home <dir>", homeHelp)
    .action((options: HomeOption) => {
      const home = homeOf(options.home, surroundings);
      loadEnrolment(home);
      const { pinned, waiting } = new RosterFiles(home.governance);
      outputOf(command, surroundings).result({ pinned, waiting }, () => [
        ...(pinned === undefined ? ["no roster is followed yet"] : rosterLines(pinned)),
        ...(waiting === undefined
          ? []
          : [
              "",
              `Version ${waiting.roster.version} waits: consilium-agent roster approve`,
              "",
              ...rosterLines(waiting),
            ]),
      ]);
    });
  example(command, "consilium-agent roster show", "consilium-agent roster show --json");
}

function addFetch(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("fetch")
    .description("ask the coordinator for newer rosters now; a running agent does so by itself, once a minute")
    .option("--home <dir>", homeHelp)
    .action(async (options: HomeOption) => {
      const home = homeOf(options.home, surroundings);
      await withRoster({ home, command: "roster-fetch", surroundings }, async ({ roster, governance, faults }) => {
        requireKeys(governance);
        await roster.update(governance);
        if (faults.length > 0) throw refused(faults);
        const { version } = roster;
        const pending = roster.pending();
        outputOf(command, surroundings).result({ version, waiting: pending?.signed.roster.version }, () => [
          version === 0 ? noneFollowed(pending) : `version ${version} of the roster is followed`,
          ...(pending === undefined ? [] : ["", ...pendingLines(pending)]),
        ]);
      });
    });
  example(command, "consilium-agent roster fetch");
}

const noneFollowed = (pending: object | undefined): string =>
  pending === undefined
    ? "the coordinator has no roster yet: ask its operator to publish one"
    : "no roster is followed yet";

function addApprove(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("approve")
    .description("show what the roster that waits would change; with its version, follow it")
    .argument("[version]", "version that was looked at and is approved", parseVersion)
    .option("--home <dir>", homeHelp)
    .action(async (version: number | undefined, options: HomeOption) => {
      const home = homeOf(options.home, surroundings);
      const output = outputOf(command, surroundings);
      await withRoster({ home, command: "roster-approve", surroundings }, ({ roster, governance }) => {
        const pending = roster.pending();
        if (version === undefined && pending !== undefined) {
          const { signed, diff } = pending;
          return output.result({ approved: false, diff, ...signed }, () => pendingLines(pending));
        }
        const { roster: approved } = roster.approve(version, governance);
        const digest = rosterDigest(approved);
        output.result({ approved: true, version: approved.version, digest }, () => [
          `version ${approved.version} is followed from now on, SHA-256 ${digest}`,
        ]);
      });
    });
  example(command, "consilium-agent roster approve", "consilium-agent roster approve 2");
}

function pendingLines({ signed, diff }: NonNullable<ReturnType<SiteRoster["pending"]>>): string[] {
  const { version } = signed.roster;
  return [
    `Version ${version} waits for your word. It changes:`,
    ...diffLines(diff).map((line) => `  ${line}`),
    "",
    `SHA-256 ${rosterDigest(signed.roster)}`,
    `Compare sites and keys with what the holders of the governance keys say, then: consilium-agent roster approve ${version}`,
  ];
}

function refused(faults: readonly string[]): ConsiliumError {
  return new ConsiliumError("roster-refused", `the coordinator's roster is not followed: ${faults.join("; ")}`, {
    remedy: "ask the holders of the governance keys; the refusal is in the audit log",
  });
}

function parseVersion(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be the number of a version.");
}
