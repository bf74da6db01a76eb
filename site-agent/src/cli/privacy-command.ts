import { type PrivacyLedger, spent, spentByLoss } from "@consilium/shared/privacy/ledger.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { loadEnrolment } from "../enrolment.js";
import { LedgerStore } from "../privacy/ledger-store.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

/** What private runs have spent of a data set. */
export function addPrivacy(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("privacy")
    .description("the privacy ledger: what private runs have spent of this site's images, run by run")
    .option("--home <dir>", homeHelp)
    .action((options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      loadEnrolment(home);
      const ledgers = new LedgerStore(home.privacy).all().map(summaryOf);
      outputOf(command, surroundings).result({ ledgers }, () => {
        if (ledgers.length === 0) return ["no private run was charged here"];
        return ledgers.flatMap(linesOf);
      });
    });
  example(command, "consilium-agent privacy", "consilium-agent privacy --json");
}

interface RunSpending {
  readonly run: string;
  readonly rounds: number;
  readonly steps: number;
  /** ε of this run alone. */
  readonly epsilon: number;
}

interface LedgerSummary {
  readonly dataSet: string;
  readonly maxEpsilon: number;
  readonly delta: number;
  /** ε of all runs together, as the budget counts it, and by the tighter accountant. */
  readonly epsilon: number;
  readonly epsilonByPld: number | undefined;
  readonly runs: readonly RunSpending[];
}

function summaryOf({ dataSet, budget, entries }: PrivacyLedger): LedgerSummary {
  const names = [...new Set(entries.map(({ id }) => runOf(id)))];
  const runs = names.map((run): RunSpending => {
    const own = entries.filter(({ id }) => runOf(id) === run);
    const steps = own.reduce((sum, entry) => sum + entry.steps, 0);
    return { run, rounds: own.length, steps, epsilon: spent({ budget, entries: own }).epsilon };
  });
  const all = { budget, entries };
  const { epsilon } = spent(all);
  return { dataSet, maxEpsilon: budget.epsilon, delta: budget.delta, epsilon, epsilonByPld: spentByLoss(all), runs };
}

/** Entries are named run/round/attempt. */
const runOf = (id: string): string => id.split("/")[0]!;

function linesOf({ dataSet, maxEpsilon, delta, epsilon, epsilonByPld, runs }: LedgerSummary): string[] {
  const right = { align: "right" } as const;
  const columns = [
    { title: "run" },
    { title: "attempts", ...right },
    { title: "steps", ...right },
    { title: "ε of this run alone", ...right },
  ];
  const rows = runs.map((run) => [run.run, `${run.rounds}`, `${run.steps}`, run.epsilon.toFixed(3)]);
  const tighter = epsilonByPld === undefined ? "" : `, ${epsilonByPld.toFixed(3)} by the tighter accountant`;
  return [
    `images ${dataSet}: ε ${epsilon.toFixed(3)} spent of ${maxEpsilon} at δ ${delta}${tighter}`,
    ...tableLines(columns, rows),
  ];
}
