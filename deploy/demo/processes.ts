import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** The two commands, as a person would call them. */
export const commands = {
  consilium: join(root, "coordinator/bin/consilium.mjs"),
  agent: join(root, "site-agent/bin/consilium-agent.mjs"),
} as const;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end. `inherit` lets it draw on this terminal. */
export function runCommand(
  script: string,
  args: readonly string[],
  options: { inherit?: boolean } = {},
): Promise<Finished> {
  return new Promise((resolveRun, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: options.inherit ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (text) => {
      stdout += text;
    });
    child.stderr?.on("data", (text) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolveRun({ code, stdout, stderr }));
  });
}

/** As runCommand, but anything but success is an error that carries what the command printed. */
export async function mustRun(script: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(script, args);
  if (code !== 0) throw new Error(`${args.slice(0, 2).join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** A long-running process whose output goes to a log file. */
export class Daemon {
  readonly child: ChildProcess;
  readonly #ended: Promise<number | null>;

  constructor(
    script: string,
    args: readonly string[],
    options: { logPath: string; environment?: Readonly<Record<string, string>> },
  ) {
    this.child = spawn(process.execPath, [script, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.environment },
    });
    const log = createWriteStream(options.logPath, { flags: "a" });
    this.child.stdout?.pipe(log, { end: false });
    this.child.stderr?.pipe(log, { end: false });
    this.#ended = new Promise((done) => {
      this.child.on("close", (code) => done(code));
    });
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when the process is gone, with its exit code; null when a signal ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Asks the process to stop and kills it when it has not after `graceMs`. */
  async stop(graceMs = 15_000): Promise<number | null> {
    if (this.running) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), graceMs);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#ended;
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((done) => {
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            done(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Polls until `probe` gives a value. */
export async function until<T>(what: string, timeoutMs: number, probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe().catch(() => undefined);
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
