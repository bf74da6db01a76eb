import { parseArgs } from "node:util";
import { simulate } from "./simulate.js";

/**
 * Random equivocation by one coordinator for each seed, against the sites' own code: `--seeds N` of them, from `--first N`.
 * Ends with 1 when a promise was broken, and prints the seed, which does the same again.
 */
const { values } = parseArgs({
  options: { seeds: { type: "string", default: "10000" }, first: { type: "string", default: "0" } },
});
const [first, count] = [Number(values.first), Number(values.seeds)];
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || first < 0 || count < 1) {
  console.error("error: --seeds takes a whole number from 1 on, --first one from 0 on");
  process.exit(2);
}

const startedMs = performance.now();
const refusals: Record<string, number> = {};
const totals = { seeds: count, broken: 0, sums: 0, roundsWithTwoSums: 0, told: 0 };
for (let seed = first; seed < first + count; seed++) {
  const { violations, sums, told, refusals: refused } = simulate(seed);
  totals.sums += sums;
  totals.told += told;
  if (sums > 1) totals.roundsWithTwoSums++;
  for (const check of refused) refusals[check] = (refusals[check] ?? 0) + 1;
  if (violations.length > 0) {
    totals.broken++;
    console.error(`seed ${seed}: ${violations.join("; ")}`);
  }
  if ((seed + 1 - first) % 1000 === 0) process.stderr.write(`${seed + 1 - first} of ${count} seeds\n`);
}
console.log(JSON.stringify({ ...totals, refusals, seconds: Math.round((performance.now() - startedMs) / 1000) }));
process.exitCode = totals.broken === 0 ? 0 : 1;
