import { parseOptions } from "./options.js";
import { run } from "./run.js";

/**
 * Spoiled messages for every call of the contract and every parser: `[--quick] [--count N] [--only TARGET] [--seed S]`.
 * The seed that is printed gives the same inputs again.
 */
function optionsOrExit() {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (thrown) {
    console.error(`error: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return process.exit(2);
  }
}

process.exit(await run(optionsOrExit()));
