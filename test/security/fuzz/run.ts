import { setTimeout } from "node:timers/promises";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { HostileFederation, unboundedCalls } from "../../support/hostile-federation.js";
import { RawConnection } from "../../support/raw-http2.js";
import { type CallTarget, fuzzHeaders, fuzzMethod } from "./calls.js";
import { type Finding, fuzzParser, type Tally } from "./finding.js";
import { everyMethod, type FuzzedMethod } from "./methods.js";
import type { FuzzOptions } from "./options.js";
import { everyParser } from "./parsers.js";

const mostRequests = 10_000;
/** A site that lost its stream to the fuzzed ones does not end, so that the federation's end is not waited for. */
const stopMs = 5_000;
/** What the program holds; caches of compiled code among it grow a little. */
const mostHeldGrowthBytes = 32 * 2 ** 20;
/** What the system has given it, which allocators give back as they like. */
const mostResidentGrowthBytes = 256 * 2 ** 20;
const columns = [
  { title: "target" },
  { title: "inputs", align: "right" },
  { title: "accepted", align: "right" },
  { title: "slowest ms", align: "right" },
  { title: "s", align: "right" },
] as const;

/** What one run of the fuzz has found so far. */
class Findings {
  readonly all: Finding[] = [];
  readonly tallies: (Tally & { seconds: number })[] = [];
  readonly #options: FuzzOptions;

  constructor(options: FuzzOptions) {
    this.#options = options;
  }

  /** Something that is no single input's doing. */
  readonly add = (problem: string): void => {
    this.all.push({ target: "process", seed: this.#options.seed, number: -1, problem, hex: "" });
    console.error(problem);
  };

  async of(target: string, fuzz: () => Promise<{ tally: Tally; findings: Finding[] }>): Promise<void> {
    if (!target.includes(this.#options.only)) return;
    const startedMs = performance.now();
    const { tally, findings } = await fuzz();
    this.tallies.push({ ...tally, seconds: (performance.now() - startedMs) / 1000 });
    this.all.push(...findings);
    for (const finding of findings) console.error(JSON.stringify(finding));
    process.stderr.write(`${target}: ${tally.inputs} inputs, ${findings.length} findings\n`);
  }
}

interface Memory {
  readonly held: number;
  readonly resident: number;
}

function memoryNow(): Memory {
  // What the first collection frees may free more.
  for (let times = 0; times < 3; times++) (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { held: heapUsed + external, resident: rss };
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function judgeGrowth(before: Memory, findings: Findings): void {
  const after = memoryNow();
  const [held, resident] = [after.held - before.held, after.resident - before.resident];
  console.log(`memory: holds ${mebibytes(held)} more than before the calls, takes ${mebibytes(resident)} more`);
  if (held > mostHeldGrowthBytes || resident > mostResidentGrowthBytes) {
    findings.add(`grows: holds ${mebibytes(held)} more, takes ${mebibytes(resident)} more`);
  }
}

/** Masks and its calls are another site's: who attaches anew, as the fuzz does all the time, is soon taken for lost. */
const siteIds = ["north", "south", "west"] as const;
const day = 86_400;
/** It waits for its sites as long as it is fuzzed. */
const longRun = { deadlines: { trainingSeconds: day, stageSeconds: day } };

interface FuzzedRuns {
  readonly live: string;
  readonly over: string;
}

async function launchRuns(federation: HostileFederation): Promise<FuzzedRuns> {
  const over = await federation.launch(longRun);
  await federation.stopRuns();
  return { over, live: await federation.launch(longRun) };
}

/** A site's calls by a site, an administrator's by an operator, and joining by who has no certificate. */
function callTarget(federation: HostileFederation, method: FuzzedMethod, { live, over }: FuzzedRuns): CallTarget {
  const { main, enrolment } = federation.ports;
  if (method.service === "EnrolmentService") {
    return { method, about: { site_id: "north" }, connect: () => RawConnection.open(enrolment) };
  }
  if (method.service === "AdminService") {
    // About nobody: revoking a site that sends the rest would end the fuzzing, as stopping the run would.
    const about = { site_id: "nobody", run_id: method.path.endsWith("/StopRun") ? over : live };
    return { method, about, connect: () => RawConnection.open(main, federation.credentials("operator")) };
  }
  const [site] = federation.sitesNamed([method.service === "SecAggService" ? "south" : "north"]);
  const { siteId, credentials } = site!;
  const about = { site_id: siteId, run_id: live };
  return { method, about, connect: () => RawConnection.open(main, credentials.bundle) };
}

async function fuzzCalls({ seed, count, only }: FuzzOptions, findings: Findings): Promise<void> {
  const methods = everyMethod().filter(({ path }) => path.includes(only));
  if (methods.length === 0 && !"headers".includes(only)) return;
  const federation = await HostileFederation.start(siteIds, unboundedCalls);
  const runs = await launchRuns(federation);
  const forget = setInterval(() => federation.logged.splice(0), 100);
  const targets = methods.map((method) => callTarget(federation, method, runs));
  const connect = () => RawConnection.open(federation.ports.main, federation.sites[0]!.credentials.bundle);
  // What grows once, as caches and compiled code do, grows here.
  const warm = { count: Math.min(count, 500), seed: `${seed}/warm` };
  for (const one of targets) await fuzzMethod(one, warm);
  await fuzzHeaders({ federation, connect }, warm);
  const before = memoryNow();
  for (const one of targets) await findings.of(one.method.path, () => fuzzMethod(one, { seed, count }));
  const requests = Math.min(count, mostRequests);
  await findings.of("headers", () => fuzzHeaders({ federation, connect }, { seed, count: requests }));
  clearInterval(forget);
  await federation.admin("researcher").listSites();
  judgeGrowth(before, findings);
  await Promise.race([federation.stop(), setTimeout(stopMs)]);
}

async function fuzzParsers({ seed, count }: FuzzOptions, findings: Findings): Promise<void> {
  const { parsers, remove } = await everyParser();
  for (const parser of parsers) await findings.of(parser.target, () => fuzzParser(parser, { seed, count }));
  remove();
}

function print({ tallies }: Findings): void {
  const rows = tallies.map((tally) => [
    ...[tally.target, String(tally.inputs), String(tally.accepted), tally.slowestMs.toFixed(0)],
    tally.seconds.toFixed(1),
  ]);
  console.log(tableLines(columns, rows).join("\n"));
}

/** @returns the exit code: 1 when something crashes, hangs, grows, tells of its inside, or throws what is no refusal */
export async function run(options: FuzzOptions): Promise<0 | 1> {
  const findings = new Findings(options);
  process.on("uncaughtException", (thrown) => findings.add(`crashes: ${thrown.stack ?? thrown.message}`));
  process.on("unhandledRejection", (thrown) => findings.add(`lets a rejection go: ${String(thrown)}`));
  console.log(`seed ${options.seed}, ${options.count} inputs for each target`);
  await fuzzParsers(options, findings);
  await fuzzCalls(options, findings);
  if (findings.tallies.length === 0) findings.add(`no target's name has ${JSON.stringify(options.only)} in it`);
  print(findings);
  const inputs = findings.tallies.reduce((sum, tally) => sum + tally.inputs, 0);
  const figures = { targets: findings.tallies.length, inputs, findings: findings.all.length };
  console.log(JSON.stringify({ seed: options.seed, ...figures }));
  return findings.all.length === 0 ? 0 : 1;
}
