import { isIP } from "node:net";
import { resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { LogLevel } from "@consilium/shared/log.js";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { InitOptions } from "../init.js";
import { addAuthorityCommands } from "./authority-commands.js";
import { addCredentialsCommands } from "./credentials-commands.js";
import { defaultHome } from "./profile.js";
import { example, outputOf, portNumber } from "./session.js";
import type { Surroundings } from "./surroundings.js";

export function addCoordinatorCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("coordinator").description("make and run the federation's coordinator");
  example(group, "consilium coordinator serve");
  addInit(group, surroundings);
  addServe(group, surroundings);
  addAuthorityCommands(group, surroundings, homeHelp);
  addCredentialsCommands(group, surroundings, homeHelp);
}

const homeHelp = "folder of the coordinator's state (default: CONSILIUM_HOME, or ~/.consilium)";

function addInit(group: Command, surroundings: Surroundings): void {
  const init = group
    .command("init")
    .description(
      "make a federation: its certificate authority, the coordinator's certificate, the operator's credentials",
    )
    .requiredOption("--federation <name>", "name of the federation, in every certificate", federationName)
    .option("--home <dir>", homeHelp)
    .option("--host <host>", "name or address that sites reach the coordinator by (default: localhost)", hostName)
    .option("--port <port>", "port for sites, researchers and operators", portNumber)
    .option("--enrol-port <port>", "port where invited sites enrol", portNumber)
    .option("--metrics-port <port>", "port of /metrics and /healthz", portNumber)
    .action(async (options: Omit<InitOptions, "home"> & { home?: string }) => {
      const home = options.home ?? defaultHome(surroundings);
      const report = await surroundings.initCoordinator({ ...options, home });
      outputOf(init, surroundings).result(report, () => [
        `federation ${options.federation} is ready in ${report.home}`,
        `credentials of the operator:   ${report.operatorProfile}`,
        `credentials of the researcher: ${report.researcherProfile} (hand over the folder)`,
        `next: consilium coordinator serve${options.home === undefined ? "" : ` --home ${options.home}`}`,
      ]);
    });
  example(init, "consilium coordinator init --federation skin --home /var/lib/consilium --host fl.example.org");
}

function addServe(group: Command, surroundings: Surroundings): void {
  const serve = group
    .command("serve")
    .description("run the coordinator until it is asked to stop; a second signal stops it at once")
    .option("--home <dir>", homeHelp)
    .addOption(
      new Option("--log-level <level>", "least severe log lines written, on standard error")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .action(async (options: { home?: string; logLevel: LogLevel }) => {
      const home = resolve(options.home ?? defaultHome(surroundings));
      const coordinator = await surroundings.serveCoordinator({ home, logLevel: options.logLevel }).catch(sayInit);
      const facts = Object.entries(coordinator.ready).map(([name, value]) => `${name} ${value}`);
      outputOf(serve, surroundings).result({ ready: true, ...coordinator.ready }, () => `ready: ${facts.join(", ")}`);
      await fired(surroundings.signal);
      await coordinator.stop();
    });
  example(serve, "consilium coordinator serve --home /var/lib/consilium");
}

/** Files that are not there were never made, or are elsewhere. */
function sayInit(thrown: unknown): never {
  if (!(thrown instanceof ConsiliumError) || thrown.code !== "config-missing") throw thrown;
  throw new ConsiliumError(thrown.code, thrown.message, {
    remedy: "make a federation with 'consilium coordinator init', or name its folder with --home",
    cause: thrown,
  });
}

function federationName(text: string): string {
  if (/^[a-z0-9-]{1,63}$/.test(text)) return text;
  throw new InvalidArgumentError("Use lower-case letters, digits and hyphens, at most 63.");
}

/** A port has an option of its own; in the host it would make an address that nobody can dial. */
function hostName(text: string): string {
  if (isIP(text) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(text)) return text;
  throw new InvalidArgumentError("Give a host name or an IP address alone; ports have options of their own.");
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
