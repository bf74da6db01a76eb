import { resolve } from "node:path";
import type { LogLevel } from "@consilium/shared/log.js";
import { type Command, Option } from "commander";
import type { InitOptions } from "../init.js";
import { defaultHome } from "./profile.js";
import { example, outputOf, portNumber } from "./session.js";
import type { Surroundings } from "./surroundings.js";

export function addCoordinatorCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("coordinator").description("make and run the federation's coordinator");
  example(group, "consilium coordinator serve");
  addInit(group, surroundings);
  addServe(group, surroundings);
}

const homeHelp = "folder of the coordinator's state (default: CONSILIUM_HOME, or ~/.consilium)";

function addInit(group: Command, surroundings: Surroundings): void {
  const init = group
    .command("init")
    .description(
      "make a federation: its certificate authority, the coordinator's certificate, the operator's credentials",
    )
    .requiredOption("--federation <name>", "name of the federation, in every certificate")
    .option("--home <dir>", homeHelp)
    .option("--host <host>", "name or address that sites reach the coordinator by")
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
      const coordinator = await surroundings.serveCoordinator({ home, logLevel: options.logLevel });
      const facts = Object.entries(coordinator.ready).map(([name, value]) => `${name} ${value}`);
      outputOf(serve, surroundings).result({ ready: true, ...coordinator.ready }, () => `ready: ${facts.join(", ")}`);
      await fired(surroundings.signal);
      await coordinator.stop();
    });
  example(serve, "consilium coordinator serve --home /var/lib/consilium");
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
