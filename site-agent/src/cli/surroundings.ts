import { join } from "node:path";
import type { Clock } from "@consilium/shared/clock.js";
import type { Logger, LogLevel } from "@consilium/shared/log.js";
import { Output, type TextStream } from "@consilium/shared/terminal/output.js";
import type { Command } from "commander";
import type { AgentOptions, RunningAgent } from "../agent.js";
import type { CheckOptions } from "../data/check-data.js";
import type { DataReport } from "../data/data-report.js";
import type { ExportReport, ExportRequest } from "../export-checkpoint.js";
import { type SiteHome, siteHome } from "../home.js";
import type { JoinOptions, JoinReport } from "../join.js";
import type { askForRosters } from "../rpc/roster-client.js";
import type { EngineTools } from "./engine-tools.js";

/** Everything a command may touch; built once in main.ts, replaced by tests. */
export interface Surroundings {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's own folder. */
  readonly userFolder: string;
  readonly clock: Clock;
  /** Fires when the user or the system asks the command to stop. */
  readonly signal: AbortSignal;
  readonly version: string;
  readonly join: (options: Omit<JoinOptions, "enrol">) => Promise<JoinReport>;
  readonly startAgent: (options: AgentOptions) => Promise<RunningAgent>;
  readonly createLogger: (level: LogLevel) => Logger;
  readonly checkData: (options: CheckOptions) => Promise<DataReport>;
  readonly exportCheckpoint: (request: ExportRequest) => Promise<ExportReport>;
  readonly engines: EngineTools;
  readonly askForRosters: typeof askForRosters;
}

export const homeHelp =
  "folder of the site's configuration, keys and state (default: CONSILIUM_AGENT_HOME, or ~/.consilium-agent)";

/** The home that a command was given, or the default one. */
export function homeOf(option: string | undefined, { env, userFolder }: Surroundings): SiteHome {
  return siteHome(option ?? env["CONSILIUM_AGENT_HOME"] ?? join(userFolder, ".consilium-agent"));
}

/** The output that a command was asked for; `--json` may stand before or after the subcommand. */
export function outputOf(command: Command, { stdout, stderr }: Surroundings): Output {
  return new Output({ stdout, stderr, json: command.optsWithGlobals()["json"] === true });
}

export function example(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? "Example:" : "Examples:";
  return command.addHelpText("after", `\n${title}\n${lines.map((line) => `  $ ${line}`).join("\n")}`);
}
