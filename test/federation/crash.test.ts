import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Daemon } from "../../deploy/demo/processes.js";
import { insideText } from "../support/inside-text.js";
import { SmallFederation } from "../support/small-federation.js";

/** A defect that nobody foresaw, in a process as it is: one signal throws, another one rejects. */
const defect = `
  const secret = () => Object.assign(new Error("hunter2 in /srv/images/anna.dcm"), { code: "ENOSPC" });
  process.on("SIGUSR2", () => { throw secret(); });
  process.on("SIGHUP", () => { Promise.reject(secret()); });
`;
const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(defect)}` };

describe("a process in which something is thrown that nobody catches", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: ["north"] });
    await federation.initialise();
    await federation.startCoordinator(environment);
    await federation.join(federation.hospitals[0]!);
  }, 300_000);

  afterAll(() => federation.remove(), 60_000);

  const linesOf = (log: string) => {
    const path = join(federation.directory, "logs", `${log}.log`);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  };

  /** Its last words, after it was gone within seconds. */
  async function crash(log: string, pid: number, signal: NodeJS.Signals, ended: Promise<number | null>) {
    const before = linesOf(log).length;
    const startedMs = performance.now();
    process.kill(pid, signal);
    expect(await ended).toBe(1);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    const said = linesOf(log)
      .slice(before - 1)
      // Where it is ready, it says so for whoever started it; that can be written a moment after it answers.
      .filter((line) => !line.startsWith("ready:"))
      .join("\n")
      .trim();
    expect(said).not.toMatch(/hunter2|anna/);
    expect(said).not.toMatch(insideText);
    const words = said.split("\n").filter((line) => line.includes('"crashed"'));
    expect(words).toHaveLength(1);
    return JSON.parse(words[0]!) as Record<string, unknown>;
  }

  it.each(["SIGUSR2", "SIGHUP"] as const)(
    "ends the coordinator with one line and code 1, after %s",
    async (signal) => {
      const words = await crash("coordinator", federation.coordinatorPid!, signal, federation.coordinatorEnded());
      const kind = signal === "SIGUSR2" ? "uncaughtException" : "unhandledRejection";
      expect(words).toMatchObject({ level: "error", name: "coordinator", kind, error: "Error", code: "ENOSPC" });
      await federation.startCoordinator(environment);
    },
    90_000,
  );

  it.each(["SIGUSR2", "SIGHUP"] as const)(
    "ends the agent likewise, after %s",
    async (signal) => {
      const times = () => linesOf("north").filter((line) => line.includes('"coordinator-reached"')).length;
      const before = times();
      const agent: Daemon = federation.startAgent("north", environment);
      await expect.poll(times, { timeout: 30_000 }).toBe(before + 1);
      const words = await crash("north", agent.child.pid!, signal, agent.ended());
      expect(words).toMatchObject({ level: "error", name: "site-agent", code: "ENOSPC" });
    },
    90_000,
  );
});
