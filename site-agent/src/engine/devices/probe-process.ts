import { type ChildProcess, fork } from "node:child_process";

/** What a probing process sends. */
export type Finding<Found> =
  | { readonly works: true; readonly found: Found }
  | { readonly works: false; readonly reason: string };

/** How a probing process is started; tests bring their own. */
export interface ProbeProcessOptions {
  /** The built module that the process runs. */
  readonly entryPath?: string;
  /** Of the process; absent: this process's own. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  readonly parameters?: readonly string[];
}

/** The text after which ONNX Runtime prints why a library of its own was not loaded, and nowhere throws it. */
const printedReason = /with error: (.+)/;
const longestKept = 64 * 1024;

/**
 * Tries a device in a process of its own, because a driver may crash or hang the process that it is tried in.
 * @param ownEntry module that sends one finding; its sender is this code's own, so that the finding is taken as it is
 */
export function findingOf<Found>(
  ownEntry: string,
  { entryPath = ownEntry, environment, timeoutMs = 60_000, parameters = [] }: ProbeProcessOptions,
): Promise<Finding<Found>> {
  return new Promise((resolve) => {
    const fail = (reason: string): void => resolve({ works: false, reason });
    let printed = "";
    const child = start(entryPath, parameters, environment);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-longestKept);
    });
    const timer = setTimeout(() => {
      fail(`the driver did not answer within ${timeoutMs / 1000} s`);
      child.kill("SIGKILL");
    }, timeoutMs);
    let sent: Finding<Found> | undefined;
    child.once("message", (message) => {
      sent = readFinding(message);
    });
    child.once("error", (error) => fail(`the probing process did not start: ${error.message}`));
    // Once everything that it printed has arrived.
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (sent === undefined) fail(`the driver ended the probing process (${signal ?? `exit code ${code}`})`);
      else resolve(sent.works ? sent : { ...sent, reason: printedReason.exec(printed)?.[1] ?? sent.reason });
    });
  });
}

/** What drivers print is not for the agent's log. */
function start(
  entryPath: string,
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv | undefined,
): ChildProcess {
  const stdio: ["ignore", "ignore", "pipe", "ipc"] = ["ignore", "ignore", "pipe", "ipc"];
  return fork(entryPath, parameters, { stdio, ...(environment === undefined ? {} : { env: environment }) });
}

function readFinding<Found>(message: unknown): Finding<Found> {
  const isFinding = typeof message === "object" && message !== null && "works" in message;
  return isFinding ? (message as Finding<Found>) : { works: false, reason: "the probing process sent something else" };
}
