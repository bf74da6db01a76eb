import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodeFor, exitCodes, Output, parserError } from "@consilium/shared/terminal/output.js";
import { Command } from "commander";
import { addApprovals } from "./approvals-command.js";
import { addAudit } from "./audit-command.js";
import { addCheckData } from "./check-data-command.js";
import { CommandFailed } from "./command-failed.js";
import { addCurate } from "./curate-command.js";
import { addDoctor } from "./doctor-command.js";
import { addEgress } from "./egress-command.js";
import { addEngine } from "./engine-command.js";
import { addExport } from "./export-command.js";
import { addIdentity } from "./identity-command.js";
import { addJoin } from "./join-command.js";
import { addPolicy } from "./policy-command.js";
import { addPrivacy } from "./privacy-command.js";
import { addRoster } from "./roster-command.js";
import { addRun } from "./run-command.js";
import { addStatus } from "./status-command.js";
import { example, type Surroundings } from "./surroundings.js";

/** The whole `consilium-agent` command. Parsing throws instead of ending the process. */
export function createProgram(surroundings: Surroundings): Command {
  const program = new Command("consilium-agent")
    .description("A hospital's part in a federation: trains on images that stay here, sends masked updates only.")
    .version(surroundings.version)
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
    "consilium-agent join consilium-invite-v1.eyJmZ… --data /srv/images",
    "consilium-agent check-data",
    "consilium-agent run",
  );
  program.addHelpText("after", `\n${exitCodeHelp}`);
  for (const add of commandsInOrder) add(program, surroundings);
  return program;
}

const commandsInOrder = [
  ...[addJoin, addIdentity, addRun, addStatus, addDoctor, addCheckData, addCurate, addExport, addEngine],
  ...[addAudit, addEgress, addPolicy, addApprovals, addRoster, addPrivacy],
];

const exitCodeHelp = `Exit codes:
  0 done, 1 internal error, 2 wrong usage or configuration, 3 certificate or invitation refused, 4 not found,
  5 coordinator unreachable or agent not running, 6 images or device cannot be used,
  policy refuses or doctor found a fault, 130 interrupted`;

/** Parses and runs; every outcome is an exit code, every error is said on standard error. */
export async function runCommandLine(parameters: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await createProgram(surroundings).parseAsync(parameters, { from: "user" });
    return exitCodes.ok;
  } catch (thrown) {
    sayError(thrown, surroundings);
    return thrown instanceof CommandFailed ? thrown.exitCode : exitCodeFor(thrown);
  }
}

/** Commander has said its own errors already, and an interrupted command needs no explanation. */
function sayError(thrown: unknown, { stdout, stderr }: Surroundings): void {
  if (thrown instanceof AbortedError || parserError(thrown) !== undefined) return;
  const output = new Output({ stdout, stderr, json: false });
  output.error(thrown instanceof CommandFailed ? thrown.error : thrown);
  if (thrown instanceof CommandFailed) return;
  // A failure without a code is a defect: its place in the program is what a report of it needs.
  if (!(thrown instanceof ConsiliumError) && thrown instanceof Error && thrown.stack !== undefined) {
    output.note(thrown.stack.split("\n").slice(1, 6).join("\n"));
  }
}
