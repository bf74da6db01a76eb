import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Accountant, epsilonBy, noiseMultiplierFor } from "@consilium/shared/privacy/calibrate.js";
import { type Verdict, verdictOn } from "@consilium/shared/privacy/verdict.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { example, outputOf, wholeNumber } from "./session.js";
import type { Surroundings } from "./surroundings.js";

interface PrivacyOptions {
  readonly epsilon: number;
  readonly delta: number;
  readonly patients: number;
  readonly batch: number;
  readonly steps: number;
  readonly parameters: number;
  readonly sites: number;
}

const upTo = (most: number) => wholeNumber({ least: 1, most });

/** Plans patient-level privacy: needs no coordinator. */
export function addPrivacyCommand(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("privacy")
    .description("plan patient-level differential privacy: the noise it needs, and what that leaves to learn")
    .requiredOption("--epsilon <epsilon>", "privacy budget of the whole run", positive(1e-3, 1000))
    .requiredOption("--delta <delta>", "probability that the budget does not bind, such as 1e-6", positive(1e-10, 0.1))
    .requiredOption("--patients <count>", "patients of the smallest site", upTo(1e9))
    .requiredOption("--batch <count>", "patients expected in a step at that site", upTo(1e9))
    .requiredOption("--steps <count>", "training steps of the whole run at that site", upTo(1e7))
    .option("--parameters <count>", "numbers that are trained; a ViT-S has 22 million", upTo(1e11), 22_000_000)
    .option("--sites <count>", "sites whose updates are averaged", upTo(1e4), 1)
    .action((options: PrivacyOptions) => {
      const samplingRate = rateOf(options);
      const plans = (["rdp", "pld"] as const).map((accountant) => planFor(accountant, samplingRate, options));
      outputOf(command, surroundings).result({ ...options, samplingRate, plans }, () => planLines(plans, samplingRate));
    });
  example(command, "consilium privacy --epsilon 8 --delta 1e-6 --patients 5000 --batch 64 --steps 3000");
}

interface PrivacyPlan {
  /** Whose noise this is: the ledger of a site accounts by "rdp" and so asks for that of "rdp". */
  readonly accountant: Accountant;
  readonly noiseMultiplier: number;
  readonly epsilonByRdp: number;
  readonly epsilonByPld: number;
  readonly verdict: Verdict;
}

function rateOf({ batch, patients }: PrivacyOptions): number {
  if (batch <= patients) return batch / patients;
  throw new ConsiliumError("config-invalid", `a step of ${batch} patients cannot be drawn from ${patients}`, {
    remedy: "give a --batch of at most --patients",
  });
}

function planFor(accountant: Accountant, samplingRate: number, options: PrivacyOptions): PrivacyPlan {
  const { epsilon, delta, steps, batch, parameters, sites } = options;
  // Shown with four places, so it must be enough with four places.
  const least = noiseMultiplierFor({ epsilon, delta, samplingRate, steps }, accountant);
  const noiseMultiplier = Math.ceil(least * 1e4) / 1e4;
  const mechanism = { noiseMultiplier, samplingRate, steps };
  return {
    accountant,
    noiseMultiplier,
    epsilonByRdp: epsilonBy("rdp", mechanism, delta),
    epsilonByPld: epsilonBy("pld", mechanism, delta),
    verdict: verdictOn({ noiseMultiplier, contributors: batch, dimension: parameters, steps, averagedSites: sites }),
  };
}

function planLines(plans: readonly PrivacyPlan[], samplingRate: number): string[] {
  const right = { align: "right" } as const;
  const columns = [
    { title: "accounting" },
    { title: "noise multiplier", ...right },
    { title: "ε by RDP", ...right },
    { title: "ε by PLD", ...right },
    { title: "noise/step", ...right },
    { title: "noise/run", ...right },
    { title: "verdict" },
  ];
  const rows = plans.map(({ accountant, noiseMultiplier, epsilonByRdp, epsilonByPld, verdict }) => [
    accountant === "rdp" ? "RDP (ledger)" : "PLD (tightest)",
    noiseMultiplier.toFixed(4),
    epsilonByRdp.toFixed(3),
    epsilonByPld.toFixed(3),
    `${verdict.noisePerStep.toPrecision(3)}×`,
    `${verdict.noisePerRun.toPrecision(3)}×`,
    verdict.kind,
  ]);
  return [
    ...tableLines(columns, rows),
    "",
    `each patient is drawn into a step with probability ${Number(samplingRate.toPrecision(4))}`,
    plans[0]!.verdict.reason,
  ];
}

function positive(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
  };
}
