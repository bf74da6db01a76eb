import { spawn } from "node:child_process";

/** A program to run, with its parameters; no shell reads them. */
export interface Command {
  readonly file: string;
  readonly parameters: readonly string[];
  readonly directory: string;
}

export interface CommandOutcome {
  /** Undefined: the program could not be started, mostly because it is not installed. */
  readonly exitCode: number | undefined;
  /** The end of what it wrote on both of its streams. */
  readonly tail: string;
}

export type RunCommand = (command: Command) => Promise<CommandOutcome>;

const tailLength = 4000;

/** Waits for the end of the program, without a time limit: a download may take long. */
export function runCommand({ file, parameters, directory }: Command): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    const child = spawn(file, parameters, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
    let tail = "";
    const take = (chunk: Buffer): void => {
      tail = (tail + chunk.toString("utf8")).slice(-tailLength);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => resolve({ exitCode: undefined, tail: error.message }));
    child.on("close", (code) => resolve({ exitCode: code ?? 1, tail: tail.trim() }));
  });
}

/** As a person would type it. */
export function commandLine({ file, parameters }: Command): string {
  return [file, ...parameters].map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : `'${part}'`)).join(" ");
}
