import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import type { Command } from "commander";
import { CommandFailed } from "./command-failed.js";
import { overallVerdict, type RunVerdicts, verdictsOn, verdictTable } from "./run-verdicts.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

/** What this hospital allows. */
export function addPolicy(program: Command, surroundings: Surroundings): void {
  const policy = program.command("policy").description("the site's policy: what it says of a run");
  addPolicyCheck(policy, surroundings);
  example(policy, "consilium-agent policy check run.yaml");
}

function addPolicyCheck(policy: Command, surroundings: Surroundings): void {
  const command = policy
    .command("check")
    .description("what every clause of the policy says of a researcher's run file; exits with 6 when one refuses it")
    .argument("<run.yaml>", "the run file, as 'consilium run launch' takes it")
    .option("--home <dir>", homeHelp)
    .action(async (path: string, options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      const verdicts = await verdictsOn(loadYaml(path, runConfigSchema), { home, approval: undefined });
      const output = outputOf(command, surroundings);
      if (verdicts.uncounted !== undefined) output.note(`images not counted: ${verdicts.uncounted}`);
      output.result(verdicts, () => [...verdictTable(verdicts.clauses), "", overallVerdict(verdicts)]);
      if (!verdicts.allowed) throw new CommandFailed(refusalOf(path, verdicts), exitCodes.refused);
    });
  example(command, "consilium-agent policy check run.yaml", "consilium-agent policy check run.yaml --json");
}

/** Names the clause that the agent would name, which is the first. */
function refusalOf(path: string, { clauses, remedy }: RunVerdicts): ConsiliumError {
  const first = clauses.find(({ verdict }) => verdict === "refused");
  return new ConsiliumError("policy-refused", `${path}: ${first?.clause}: ${first?.reason}`, {
    remedy: remedy ?? "ask the researcher for less, or allow more in the policy file; it counts at once",
  });
}
