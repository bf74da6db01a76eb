import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { systemClock } from "@consilium/shared/clock.js";
import { describeError } from "@consilium/shared/errors.js";
import { lastWords } from "@consilium/shared/last-words.js";
import { createLogger } from "@consilium/shared/log.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import { startAgent } from "./agent.js";
import { systemEngineTools } from "./cli/engine-tools.js";
import { runCommandLine } from "./cli/program.js";
import type { Surroundings } from "./cli/surroundings.js";
import { checkData } from "./data/check-data.js";
import { exportCheckpoint } from "./export-checkpoint.js";
import { join } from "./join.js";
import { enrol } from "./rpc/enrolment-client.js";
import { askForRosters } from "./rpc/roster-client.js";

const stopping = new AbortController();
let daemon = false;

// What was not foreseen ends the process at once: what is durable is whole at any moment, and what runs on may not be.
for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(kind, (thrown: unknown) => {
    lastWords("site-agent", kind, thrown);
    process.exit(exitCodes.internal);
  });
}

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (stopping.signal.aborted) process.exit(exitCodes.interrupted);
    stopping.abort();
  });
}

// A reader such as `head` that has seen enough ends the command quietly, but never the agent.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  if (!daemon) process.exit(exitCodes.ok);
});

process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// Native TensorFlow writes remarks on standard error when it is loaded, here and in the trainer, which inherits this.
process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";

const surroundings: Surroundings = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  userFolder: homedir(),
  clock: systemClock,
  signal: stopping.signal,
  version: packageVersion(),
  join: (options) => join({ ...options, enrol, environment: process.env }),
  startAgent(options) {
    daemon = true;
    // What the process writes is for its own account alone.
    process.umask(0o077);
    return startAgent({ ...options, environment: process.env });
  },
  createLogger: (level) => createLogger({ level, name: "site-agent" }),
  checkData,
  exportCheckpoint,
  askForRosters,
  engines: systemEngineTools(() => performance.now()),
};

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "0";
}

try {
  process.exitCode = await runCommandLine(process.argv.slice(2), surroundings);
} catch (thrown) {
  process.stderr.write(`error: ${describeError(thrown)}\n`);
  process.exitCode = exitCodes.internal;
}
// A call that was given up may keep its connection for a while; the command does not wait for it.
setTimeout(() => process.exit(), 2000).unref();
