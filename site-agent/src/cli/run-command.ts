import type { LogFields, Logger } from "@consilium/shared/log.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import type { Output } from "@consilium/shared/terminal/output.js";
import type { Command } from "commander";
import type { AgentStatus } from "../status-file.js";
import { runFrame } from "./run-view.js";
import { joinedConfig } from "./site-config.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addRun(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("run")
    .description("take part in the federation until asked to stop (SIGTERM, Ctrl-C); a second signal stops at once")
    .option("--home <dir>", homeHelp)
    .action(async (options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      const { logLevel } = joinedConfig(home);
      const output = outputOf(command, surroundings);
      const view = viewOf(output, surroundings, logLevel);
      const agent = await surroundings.startAgent({
        home: home.root,
        logger: view.logger,
        agentVersion: surroundings.version,
        clock: surroundings.clock,
        onStatus: view.show,
      });
      await fired(surroundings.signal);
      await agent.stop();
    });
  example(command, "consilium-agent run", "consilium-agent run --home /var/lib/consilium-agent");
}

interface View {
  readonly logger: Logger;
  readonly show: (status: AgentStatus) => void;
}

/** A terminal gets a live picture with the log above it; anything else gets lines, and the log as JSON. */
function viewOf(
  output: Output,
  surroundings: Surroundings,
  logLevel: Parameters<Surroundings["createLogger"]>[0],
): View {
  const { stdout, stderr, createLogger } = surroundings;
  if (output.json) return { logger: createLogger(logLevel), show: (status) => output.document(status) };
  const live = new LiveBlock(stdout);
  const show = (status: AgentStatus) => live.show(runFrame(status));
  const onTerminal = stdout.isTTY === true && stderr.isTTY === true;
  return { show, logger: onTerminal ? terminalLogger((line) => live.log(line)) : createLogger(logLevel) };
}

/** Warnings and errors as sentences; the picture says the rest. */
function terminalLogger(write: (line: string) => void): Logger {
  const logger: Logger = {
    debug() {},
    info() {},
    warn: (event, fields) => write(`warning: ${sentence(event, fields)}`),
    error: (event, fields) => write(`error: ${sentence(event, fields)}`),
    child: () => logger,
  };
  return logger;
}

function sentence(event: string, fields: LogFields = {}): string {
  const { reason, remedy, ...rest } = fields;
  const about = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${String(value)}`);
  const parts = [event.replaceAll("-", " "), reason, remedy === undefined ? undefined : `→ ${String(remedy)}`];
  const text = parts.filter((part) => part !== undefined).join(": ");
  return about.length === 0 ? text : `${text} (${about.join(", ")})`;
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
