import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodeFor, exitCodes, Output, parserError } from "@consilium/shared/terminal/output.js";
import { Command } from "commander";
import { addCoordinatorCommands } from "./coordinator-commands.js";
import { addPrivacyCommand } from "./privacy-command.js";
import { addRosterCommands } from "./roster-commands.js";
import { addRunCommands } from "./run-commands.js";
import { RunEnded } from "./run-ended.js";
import { example } from "./session.js";
import { addSiteCommands } from "./site-commands.js";
import type { Surroundings } from "./surroundings.js";

/** The whole `consilium` command. Parsing throws instead of ending the process. */
export function createProgram(surroundings: Surroundings, version: string): Command {
  const program = new Command("consilium")
    .description("Federated self-supervised pretraining: coordinate a federation, invite sites, launch and watch runs.")
    .version(version)
    .option("--json", "print JSON documents instead of text")
    .exitOverride()
    .showHelpAfterError("  → add --help to see what it takes, with an example")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
      getOutHelpWidth: () => surroundings.stdout.columns ?? 100,
      getErrHelpWidth: () => surroundings.stderr.columns ?? 100,
    });
  example(
    program,
    "consilium coordinator init --federation skin --host fl.example.org",
    "consilium site invite hospital-a",
    "consilium run launch run.yaml --watch",
  );
  program.addHelpText("after", `\n${exitCodeHelp}`);
  addCoordinatorCommands(program, surroundings);
  addSiteCommands(program, surroundings);
  addRosterCommands(program, surroundings);
  addRunCommands(program, surroundings);
  addPrivacyCommand(program, surroundings);
  return program;
}

const exitCodeHelp = `Exit codes:
  0 done, 1 internal error, 2 wrong usage or configuration, 3 not authorised, 4 not found,
  5 coordinator unreachable, 6 run refused, failed, stopped or paused, 130 interrupted`;

/** Parses and runs; every outcome is an exit code, every error is said on standard error. */
export async function runCommandLine(
  parameters: readonly string[],
  surroundings: Surroundings,
  version: string,
): Promise<number> {
  try {
    await createProgram(surroundings, version).parseAsync(parameters, { from: "user" });
    return exitCodes.ok;
  } catch (thrown) {
    if (thrown instanceof RunEnded) return exitCodes.refused;
    sayError(thrown, surroundings);
    return exitCodeFor(thrown);
  }
}

/** Commander has said its own errors already, and an interrupted command needs no explanation. */
function sayError(thrown: unknown, { stdout, stderr }: Surroundings): void {
  if (thrown instanceof AbortedError || parserError(thrown) !== undefined) return;
  const output = new Output({ stdout, stderr, json: false });
  output.error(thrown);
  // A failure without a code is a defect: its place in the program is what a report of it needs.
  if (!(thrown instanceof ConsiliumError) && thrown instanceof Error && thrown.stack !== undefined) {
    output.note(thrown.stack.split("\n").slice(1, 6).join("\n"));
  }
}
