import { parseArgs } from "node:util";
import { run as augment } from "./augment.js";
import { type Bench, BenchOptions } from "./bench.js";
import { run as data } from "./data.js";
import { run as dp } from "./dp.js";
import { run as dpAudit } from "./dp-audit.js";
import { run as dpUtility } from "./dp-utility.js";
import { run as engine } from "./engine.js";
import { run as joinStorm } from "./join-storm.js";
import { run as round } from "./round.js";
import { run as secagg } from "./secagg.js";
import { run as slowLink } from "./slow-link.js";

/** `npm run bench -- <name> [--option value …] [--json]`: prints what was measured, and one line of JSON with --json. */
const benches: Readonly<Record<string, { readonly run: Bench; readonly options: readonly string[] }>> = {
  engine: {
    run: engine,
    options: [
      ...["model", "method", "full-tokens", "batch", "size", "patch", "device", "precision", "threads"],
      ...["micro-batches", "turns", "against"],
    ],
  },
  augment: { run: augment, options: ["data", "working-size", "turns", "against"] },
  data: { run: data, options: ["source", "data", "items", "turns", "against"] },
  dp: { run: dp, options: ["model", "method", "batch", "size", "patch", "threads", "turns"] },
  "dp-audit": { run: dpAudit, options: ["data", "canaries", "others", "rate", "steps", "noise", "delta", "seed"] },
  "dp-utility": { run: dpUtility, options: ["data", "epsilon", "delta", "clip", "batch", "steps", "rate", "seed"] },
  "join-storm": { run: joinStorm, options: ["sites", "processes", "keys"] },
  round: { run: round, options: ["sites", "params"] },
  secagg: { run: secagg, options: ["sites", "params", "drop"] },
  "slow-link": { run: slowLink, options: ["bytes", "rtt", "turns"] },
};

const flags: ReadonlySet<string> = new Set(["json", "full-tokens", "help"]);

function usage(): string {
  const lines = Object.entries(benches).map(([name, { options }]) => {
    const words = options.map((option) => (flags.has(option) ? `[--${option}]` : `[--${option} …]`));
    return `  npm run bench -- ${name} ${words.join(" ")} [--json]`;
  });
  return lines.join("\n");
}

/** Every option takes a value but the flags. */
interface Parsed {
  readonly name: string | undefined;
  readonly given: ReadonlyMap<string, string | true>;
  readonly json: boolean;
}

function parse(args: readonly string[]): Parsed {
  const { positionals, tokens } = parseArgs({
    args: [...args],
    allowPositionals: true,
    strict: false,
    tokens: true,
    options: Object.fromEntries([...flags].map((flag) => [flag, { type: "boolean" as const }])),
  });
  const [name, ...rest] = positionals;
  const given = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    given.set(token.name, flags.has(token.name) ? true : (token.value ?? rest.shift() ?? true));
  }
  return { name, given, json: given.has("json") };
}

const { name, given, json } = parse(process.argv.slice(2));
const bench = name === undefined ? undefined : benches[name];
const unknown = [...given.keys()].filter((key) => !["json", "help"].includes(key) && !bench?.options.includes(key));
if (given.has("help")) console.log(usage());
else if (bench === undefined || unknown.length > 0) {
  const reason = bench === undefined ? `no benchmark '${name ?? ""}'` : `no option --${unknown.join(", --")}`;
  console.error(`error: ${reason}\n${usage()}`);
  process.exitCode = 2;
} else {
  try {
    const result = await bench.run(new BenchOptions(given));
    if (!json) for (const [field, value] of Object.entries(result)) console.log(`${field.padEnd(28)} ${value}`);
    console.log(JSON.stringify(result));
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
