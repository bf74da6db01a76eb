import { ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import type { Command } from "commander";
import { diagnoseSite } from "../doctor/diagnose-site.js";
import type { Finding } from "../doctor/finding.js";
import { CommandFailed } from "./command-failed.js";
import { findingLines } from "./doctor-view.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addDoctor(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("doctor")
    .description(
      "what keeps this site from taking part: certificate, policy, roster, images, disk, audit log, the way to the coordinator; exits with 6 when something does",
    )
    .option("--home <dir>", homeHelp)
    .action(async (options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      const checks = await diagnoseSite({ home, clock: surroundings.clock, environment: surroundings.env });
      const problem = problemOf(checks);
      outputOf(command, surroundings).result({ passed: problem === undefined, checks }, () => findingLines(checks));
      if (problem !== undefined) throw new CommandFailed(problem, exitCodes.refused);
    });
  example(command, "consilium-agent doctor", "consilium-agent doctor --json");
}

function problemOf(checks: readonly Finding[]): ConsiliumError | undefined {
  const names = checks.filter(({ level }) => level === "failed").map(({ name }) => name);
  if (names.length === 0) return undefined;
  return new ConsiliumError("config-invalid", `this site cannot take part: ${names.join(", ")}`, {
    remedy: "do what is said above, then look again",
  });
}
