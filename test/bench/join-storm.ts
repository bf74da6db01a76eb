import { type ChildProcess, fork } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadProfile } from "@consilium/coordinator/cli/profile.js";
import { connectAdmin } from "@consilium/coordinator/rpc/admin-client.js";
import { LocalFederation } from "../../deploy/demo/federation.js";
import type { BenchOptions, BenchResult } from "./bench.js";
import type { Storm, StormFigures, StormSite } from "./join-storm-sites.js";
import { type ProcessFigures, processFigures } from "./process-figures.js";

/** Each hospital has a disk of its own; here they would all wait for one, so their homes lie in memory where they can. */
const memory = "/dev/shm";

/**
 * Many sites that join and attach at the same moment, from one address. The coordinator is a process of its own with its
 * default limits; the sites, in a few processes, join and attach as agents do. Their keys are made before the storm
 * begins, and shared by some: one takes a second, and all would take the most of the whole time.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const [sites, processes] = [options.number("sites", 500), options.number("processes", 2)];
  const keys = options.number("keys", 8);
  const directory = mkdtempSync(join(tmpdir(), "consilium-bench-"));
  const homes = mkdtempSync(join(existsSync(memory) ? memory : directory, "consilium-bench-"));
  const federation = new LocalFederation({ directory, hospitals: [], threadsPerSite: 1 });
  const crowds: Crowd[] = [];
  const startedMs = Date.now();
  try {
    await federation.initialise();
    await federation.startCoordinator();
    const storm = await invite(federation, homes, sites);
    for (let index = 0; index < processes; index++) crowds.push(new Crowd());
    const keysMs = Date.now();
    const shareOf = (crowd: number) => storm.filter((_, site) => site % processes === crowd);
    await Promise.all(crowds.map((crowd, index) => crowd.ask({ sites: shareOf(index), keys })));
    const load = loadavg()[0]!;
    const beganMs = Date.now();
    const pids = crowds.map(({ pid }) => pid);
    const [before, sitesBefore] = [processFigures(federation.coordinatorPid!), cpuOf(pids)];
    const figures = (await Promise.all(crowds.map((crowd) => crowd.ask("begin")))).flat() as StormFigures[];
    const after = processFigures(federation.coordinatorPid!);
    return {
      ...stormFigures(figures, beganMs),
      ...coordinatorFigures(before, after),
      // On the same machine; each hospital has its own.
      sitesCpuSeconds: Math.round((cpuOf(pids) - sitesBefore) * 10) / 10,
      refusedByCoordinator: await refusals(federation.coordinatorMetricsPort),
      keySeconds: seconds(beganMs - keysMs),
      wholeSeconds: seconds(Date.now() - startedMs),
      // Of the machine over the minute before the storm; that of the preparation is in it.
      loadBefore: Math.round(load * 10) / 10,
    };
  } finally {
    for (const crowd of crowds) crowd.stop();
    await federation.stop();
    for (const folder of [homes, directory]) rmSync(folder, { recursive: true, force: true });
  }
}

/** An invitation for each site, as the operator gives them. */
async function invite({ profile }: LocalFederation, homes: string, sites: number): Promise<StormSite[]> {
  const admin = connectAdmin(await loadProfile({ option: profile, env: {}, userFolder: "" }));
  const storm: StormSite[] = [];
  try {
    for (let index = 0; index < sites; index++) {
      const siteId = `site-${index}`;
      const { token: invitation } = await admin.inviteSite({ siteId, validHours: 1 });
      storm.push({ home: join(homes, siteId), invitation });
    }
    return storm;
  } finally {
    admin.close();
  }
}

/** A process with some of the sites. */
class Crowd {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL("./join-storm-sites.ts", import.meta.url)), {
    execArgv: ["--import", "tsx"],
  });

  get pid(): number {
    return this.#child.pid!;
  }

  ask(message: Storm | "begin"): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#child.once("message", resolve);
      this.#child.once("exit", (code) => reject(new Error(`a process of sites ended with ${code}`)));
      this.#child.send(message);
    });
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** Sites attach while others still join, so that the two spans overlap. */
function stormFigures(figures: readonly StormFigures[], beganMs: number) {
  const joined = figures.map(({ joinedMs }) => joinedMs);
  const lastMs = Math.max(...figures.map(({ attachedMs }) => attachedMs));
  const total = (count: (site: StormFigures) => number) => figures.reduce((sum, site) => sum + count(site), 0);
  return {
    sites: figures.length,
    seconds: seconds(lastMs - beganMs),
    enrolmentSeconds: seconds(Math.max(...joined) - beganMs),
    attachingSeconds: seconds(lastMs - Math.min(...joined)),
    joinRetries: total(({ joinRetries }) => joinRetries),
    attachRetries: total(({ attachRetries }) => attachRetries),
  };
}

function coordinatorFigures(before: ProcessFigures, after: ProcessFigures) {
  return {
    coordinatorCpuSeconds: Math.round((after.cpuSeconds - before.cpuSeconds) * 10) / 10,
    coordinatorPeakRssMiB: Math.round(after.peakRssMiB),
  };
}

/** Calls and connections that the coordinator turned away, as its metrics count them: method, code and number. */
async function refusals(metricsPort: number): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const pattern = /^consilium_coordinator_rejected_inputs_total\{method="(.*)",code="(.*)"\} (\d+)$/gm;
  const counts = [...text.matchAll(pattern)].map(([, method, code, count]) => `${method} ${code} ${count}`);
  return counts.join(", ") || "none";
}

const cpuOf = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + processFigures(pid).cpuSeconds, 0);

const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;
