import { AbortedError } from "@consilium/shared/errors.js";
import { Output } from "@consilium/shared/terminal/output.js";
import { type Command, InvalidArgumentError } from "commander";
import type { Admin } from "../rpc/admin-types.js";
import { expiryWarning } from "./expiry-warning.js";
import { loadProfile } from "./profile.js";
import type { Surroundings } from "./surroundings.js";

/** The output that a command was asked for; `--json` may stand before or after the subcommand. */
export function outputOf(command: Command, { stdout, stderr }: Surroundings): Output {
  return new Output({ stdout, stderr, json: command.optsWithGlobals()["json"] === true });
}

export function withProfile(command: Command): Command {
  return command.option(
    "--profile <dir>",
    "folder of the credentials to use (default: CONSILIUM_PROFILE, or the operator's)",
  );
}

export const runArgument = ["<run>", "id of the run, its beginning, or its name where only one run has it"] as const;

export function example(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? "Example:" : "Examples:";
  return command.addHelpText("after", `\n${title}\n${lines.map((line) => `  $ ${line}`).join("\n")}`);
}

export interface Session {
  readonly admin: Admin;
  readonly output: Output;
}

/** Runs `work` connected to the coordinator; a signal ends it at once with AbortedError. */
export async function withCoordinator(
  command: Command,
  surroundings: Surroundings,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const { profile } = command.opts<{ profile?: string }>();
  const credentials = await loadProfile({ option: profile, ...surroundings });
  const output = outputOf(command, surroundings);
  if (!output.json) for (const line of expiryWarning(credentials, surroundings.clock.now())) output.note(line);
  const admin = await surroundings.connect(credentials);
  try {
    await unlessAborted(work({ admin, output }), surroundings.signal);
  } finally {
    admin.close();
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new AbortedError();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new AbortedError());
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Parses a whole number for commander, which reports the error with the option's name. */
export function wholeNumber(range: { readonly least: number; readonly most: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= range.least && value <= range.most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${range.least} to ${range.most}.`);
  };
}

export const portNumber = wholeNumber({ least: 1, most: 65_535 });
