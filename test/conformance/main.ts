import { parseArgs } from "node:util";
import { type ConformanceCase, casesOf } from "./cases.js";
import { type Comparison, columns, compare, failures, limits } from "./compare.js";
import { engineSteps } from "./engine-steps.js";
import { checkPython, torchSteps } from "./torch-steps.js";

/**
 * `npm run conformance -- --python PYTHON [--methods a,b]`: three training steps of every method here and in PyTorch, from
 * the same weights and the same batches. Prints the worst relative error of each part, and leaves with 1 where one is
 * beyond its limit.
 */

const usage = "usage: npm run conformance -- --python PYTHON [--methods simclr,mae,…]";

const titleWidth = 40;
const columnWidth = 11;

function printRow(title: string, cells: readonly string[]): void {
  console.log(title.padEnd(titleWidth) + cells.map((cell) => cell.padStart(columnWidth)).join(""));
}

function cellsOf({ worst, determined }: Comparison): string[] {
  const errors = columns.map((column) => worst[column]?.error.toExponential(1) ?? "-");
  return [...errors, `${(100 * determined).toFixed(2)} %`];
}

/** @returns whether every part is within its limit */
async function check({ title, config }: ConformanceCase, python: string): Promise<boolean> {
  const steps = await engineSteps(config);
  const comparison = compare(steps, await torchSteps(python, config, steps));
  printRow(title, cellsOf(comparison));
  const failed = failures(comparison);
  for (const column of failed) {
    const { name, error } = comparison.worst[column]!;
    console.log(`  ${column}: ${name} is off by ${error.toExponential(2)}, allowed ${limits[column].toExponential(0)}`);
  }
  return failed.length === 0;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { python: { type: "string" }, methods: { type: "string" } } });
  if (values.python === undefined) throw new Error(usage);
  const cases = casesOf(values.methods?.split(","));
  checkPython(values.python);
  printRow("", [...columns, "compared"]);
  printRow(
    "limit",
    columns.map((column) => limits[column].toExponential(0)),
  );
  let failed = 0;
  for (const one of cases) if (!(await check(one, values.python))) failed++;
  console.log(failed === 0 ? `all ${cases.length} agree` : `${failed} of ${cases.length} differ`);
  if (failed > 0) process.exitCode = 1;
}

try {
  await main();
} catch (thrown) {
  console.error(`error: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  process.exitCode = 2;
}
