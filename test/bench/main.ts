import { parseArgs } from "node:util";
import { run as round } from "./round.js";
import { run as secagg } from "./secagg.js";

/** `npm run bench -- <name> [--option value …] [--json]`: prints what was measured, and one line of JSON with --json. */
const benches: Readonly<Record<string, (options: Record<string, number>) => Promise<Record<string, number | string>>>> =
  {
    round,
    secagg,
  };

const { values, positionals, tokens } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  strict: false,
  tokens: true,
  options: { json: { type: "boolean", default: false } },
});

function numbersOf(): Record<string, number> {
  const options: Record<string, number> = {};
  const rest = positionals.slice(1);
  for (const token of tokens) {
    if (token.kind !== "option" || token.name === "json") continue;
    const text = token.value ?? rest.shift();
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Error(`--${token.name} ${text}: not a number`);
    options[token.name] = value;
  }
  return options;
}

const name = positionals[0];
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  console.error(
    `error: no benchmark '${name ?? ""}'\n  → npm run bench -- ${Object.keys(benches).join("|")} [--sites 5] [--params 22e6] [--json]`,
  );
  process.exitCode = 2;
} else {
  const result = await bench(numbersOf());
  if (!values["json"]) for (const [field, value] of Object.entries(result)) console.log(`${field.padEnd(28)} ${value}`);
  console.log(JSON.stringify(result));
}
