import { parseArgs } from "node:util";
import { type Bench, BenchOptions } from "./bench.js";
import { run as engine } from "./engine.js";
import { run as round } from "./round.js";
import { run as secagg } from "./secagg.js";

/** `npm run bench -- <name> [--option value …] [--json]`: prints what was measured, and one line of JSON with --json. */
const benches: Readonly<Record<string, Bench>> = { engine, round, secagg };

const flags: ReadonlySet<string> = new Set(["json", "full-tokens"]);

/** Every option takes a value but the flags. */
function parse(args: readonly string[]): { name: string | undefined; options: BenchOptions; json: boolean } {
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
  return { name, options: new BenchOptions(given), json: given.has("json") };
}

const { name, options, json } = parse(process.argv.slice(2));
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  console.error(
    `error: no benchmark '${name ?? ""}'\n  → npm run bench -- ${Object.keys(benches).join("|")} [--option value …] [--json]`,
  );
  process.exitCode = 2;
} else {
  try {
    const result = await bench(options);
    if (!json) for (const [field, value] of Object.entries(result)) console.log(`${field.padEnd(28)} ${value}`);
    console.log(JSON.stringify(result));
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
