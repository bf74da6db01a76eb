import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { HostileFederation } from "../../support/hostile-federation.js";
import { RawConnection } from "../../support/raw-http2.js";
import { type CallTarget, fuzzHeaders, fuzzMethod } from "./calls.js";
import { type Finding, fuzzParser, type Tally } from "./finding.js";
import { everyMethod, type FuzzedMethod } from "./methods.js";
import { everyParser } from "./parsers.js";

/**
 * Spoiled messages for every call of the contract and every parser. Ends with 1 when something crashes, hangs, grows, tells
 * of its inside, or throws what is no refusal. A seed that is printed gives the same inputs again: `--seed`, `--only`.
 */
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    seed: { type: "string", default: randomBytes(6).toString("hex") },
    count: { type: "string" },
    /** Targets whose name contains this. */
    only: { type: "string", default: "" },
  },
});
const count = Number(values.count ?? (values.quick ? 20_000 : 100_000));
const requests = Math.min(count, 10_000);
/** The federation's own site lost its stream to the fuzzed ones, so that its end is not waited for. */
const stopMs = 5_000;
const mostGrowthBytes = 50 * 2 ** 20;
const inputs = { count, seed: values.seed };

const tallies: (Tally & { seconds: number })[] = [];
const findings: Finding[] = [];
const fails = (problem: string): void => {
  findings.push({ target: "process", seed: values.seed, number: -1, problem, hex: "" });
  console.error(problem);
};
process.on("uncaughtException", (thrown) => fails(`crashes: ${thrown.stack ?? thrown.message}`));
process.on("unhandledRejection", (thrown) => fails(`lets a rejection go: ${String(thrown)}`));

async function target(name: string, fuzz: () => Promise<{ tally: Tally; findings: Finding[] }>): Promise<void> {
  if (!name.includes(values.only)) return;
  const startedMs = performance.now();
  const result = await fuzz();
  tallies.push({ ...result.tally, seconds: (performance.now() - startedMs) / 1000 });
  findings.push(...result.findings);
  for (const finding of result.findings) console.error(JSON.stringify(finding));
  process.stderr.write(`${name}: ${result.tally.inputs} inputs, ${result.findings.length} findings\n`);
}

function residentBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().rss;
}

/** A site's calls by a site, an administrator's by an operator, and joining by who has no certificate. */
function callTarget(federation: HostileFederation, method: FuzzedMethod): CallTarget {
  const { main, enrolment } = federation.ports;
  const bundle = {
    AdminService: federation.credentials("operator"),
    EnrolmentService: undefined,
  }[method.service as "AdminService" | "EnrolmentService"];
  if (method.service === "EnrolmentService") return { method, connect: () => RawConnection.open(enrolment) };
  const caller = bundle ?? federation.sites[0]!.credentials.bundle;
  return { method, connect: () => RawConnection.open(main, caller) };
}

async function fuzzCalls(): Promise<void> {
  const methods = everyMethod().filter(({ path }) => path.includes(values.only));
  if (methods.length === 0 && !"headers".includes(values.only)) return;
  const federation = await HostileFederation.start(["north"]);
  const forget = setInterval(() => federation.logged.splice(0), 100);
  const targets = methods.map((method) => callTarget(federation, method));
  const connect = () => RawConnection.open(federation.ports.main, federation.sites[0]!.credentials.bundle);
  // What grows once, as caches and compiled code do, grows here.
  const warm = { count: Math.min(count, 500), seed: `${values.seed}/warm` };
  for (const one of targets) await fuzzMethod(one, warm);
  await fuzzHeaders({ federation, connect }, warm);
  const before = residentBytes();
  for (const one of targets) await target(one.method.path, () => fuzzMethod(one, inputs));
  await target("headers", () => fuzzHeaders({ federation, connect }, { ...inputs, count: requests }));
  clearInterval(forget);
  await federation.admin("researcher").listSites();
  const growth = residentBytes() - before;
  console.log(`memory: ${(growth / 2 ** 20).toFixed(1)} MiB more than before ${targets.length} methods were fuzzed`);
  if (growth > mostGrowthBytes) fails(`grows by ${growth} bytes`);
  await Promise.race([federation.stop(), setTimeout(stopMs)]);
}

async function fuzzParsers(): Promise<void> {
  const { parsers, remove } = await everyParser();
  for (const parser of parsers) await target(parser.target, () => fuzzParser(parser, inputs));
  remove();
}

console.log(`seed ${values.seed}, ${count} inputs for each target`);
await fuzzParsers();
await fuzzCalls();
const columns = [
  { title: "target" },
  { title: "inputs", align: "right" },
  { title: "accepted", align: "right" },
  { title: "slowest ms", align: "right" },
  { title: "s", align: "right" },
] as const;
const rows = tallies.map((tally) => [
  ...[tally.target, String(tally.inputs), String(tally.accepted), tally.slowestMs.toFixed(0), tally.seconds.toFixed(1)],
]);
console.log(tableLines(columns, rows).join("\n"));
const inputsSent = tallies.reduce((sum, tally) => sum + tally.inputs, 0);
console.log(
  JSON.stringify({ seed: values.seed, targets: tallies.length, inputs: inputsSent, findings: findings.length }),
);
process.exit(findings.length === 0 ? 0 : 1);
