import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { systemClock } from "@consilium/shared/clock.js";
import { describeError } from "@consilium/shared/errors.js";
import { lastWords } from "@consilium/shared/last-words.js";
import { createLogger } from "@consilium/shared/log.js";
import { environmentProxy } from "@consilium/shared/rpc/proxy.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import { findEncoderExporter } from "./cli/encoder-exporter.js";
import { runCommandLine } from "./cli/program.js";
import type { RunningCoordinator, ServeOptions, Surroundings } from "./cli/surroundings.js";
import { startCoordinator } from "./coordinator.js";
import { initCoordinator } from "./init.js";
import { connectAdmin } from "./rpc/admin-client.js";

const stopping = new AbortController();
let serving = false;

// What was not foreseen ends the process at once: what is durable is whole at any moment, and what runs on may not be.
for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(kind, (thrown: unknown) => {
    lastWords("coordinator", kind, thrown);
    process.exit(exitCodes.internal);
  });
}

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (stopping.signal.aborted) process.exit(exitCodes.interrupted);
    stopping.abort();
  });
}

// A reader such as `head` that has seen enough ends the command quietly, but never the coordinator.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  if (!serving) process.exit(exitCodes.ok);
});

process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

async function serveCoordinator({ home, logLevel }: ServeOptions): Promise<RunningCoordinator> {
  serving = true;
  // What the process writes is for its own account alone.
  process.umask(0o077);
  return startCoordinator({ home, logger: createLogger({ level: logLevel, name: "coordinator" }) });
}

const surroundings: Surroundings = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  userFolder: homedir(),
  clock: systemClock,
  random: Math.random,
  newRequestId: randomUUID,
  signal: stopping.signal,
  connect: (to) => connectAdmin({ ...to, proxy: environmentProxy(process.env, to.host) }),
  initCoordinator,
  serveCoordinator,
  findEncoderExporter: () => findEncoderExporter((specifier) => import.meta.resolve(specifier)),
};

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "0";
}

try {
  process.exitCode = await runCommandLine(process.argv.slice(2), surroundings, packageVersion());
} catch (thrown) {
  process.stderr.write(`error: ${describeError(thrown)}\n`);
  process.exitCode = exitCodes.internal;
}
// A call that was given up may keep its connection for a while; the command does not wait for it.
setTimeout(() => process.exit(), 2000).unref();
