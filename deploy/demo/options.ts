import { parseArgs } from "node:util";
import { type MethodName, methodNames } from "@consilium/shared/config/method-config.js";

/** What `npm run demo -- …` takes. */
export interface DemoOptions {
  /** A folder of real images with labels.csv; absent: phantoms are drawn. */
  readonly data: string | undefined;
  readonly label: string;
  readonly siteColumn: string;
  readonly method: MethodName;
  readonly rounds: number;
  readonly stepsPerRound: number;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly patchSize: number;
  /** Absent: the method's own. */
  readonly learningRate: number | undefined;
  readonly threads: number;
  readonly seed: number;
  /** Split that the final table is measured on. */
  readonly testSplit: string;
  readonly compareLocal: boolean;
  readonly directory: string;
  readonly json: boolean;
}

export const usage = `npm run demo -- [options]

Runs a whole federation on this machine: a coordinator and its hospitals as separate processes, with certificates made
for the occasion and masked aggregation, then compares the encoder with where it began.

  --data DIR           folder of real images with labels.csv (file,<label>,split,<site>); without it, images are drawn
  --label COLUMN       column of labels.csv that is evaluated (default: label)
  --site-column COLUMN column that names the hospital of each image (default: hospital)
  --method NAME        ${methodNames.join(", ")} (default: simclr)
  --rounds N           rounds of federated training
  --steps N            local steps in a round
  --batch N            images in a step
  --image-size N       pixels (default: 48)
  --patch-size N       pixels (default: 8)
  --learning-rate X    after warm-up (default: the method's own)
  --threads N          processor threads of each hospital's trainer (default: 1)
  --seed N             of the run (default: 1)
  --test-split NAME    split that the table is measured on (default: test)
  --no-local           leave out the encoders that each hospital trains alone
  --dir DIR            where everything is written (default: .demo)
  --json               one JSON line at the end

example: npm run demo -- --data ./ham10000 --label dx --site-column site_noniid`;

const flags = {
  data: { type: "string" },
  label: { type: "string", default: "label" },
  "site-column": { type: "string", default: "hospital" },
  method: { type: "string", default: "simclr" },
  rounds: { type: "string" },
  steps: { type: "string" },
  batch: { type: "string" },
  "image-size": { type: "string", default: "48" },
  "patch-size": { type: "string", default: "8" },
  "learning-rate": { type: "string" },
  threads: { type: "string", default: "1" },
  seed: { type: "string", default: "1" },
  "test-split": { type: "string", default: "test" },
  "no-local": { type: "boolean", default: false },
  dir: { type: "string", default: ".demo" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

function positive(name: string, text: string, integer = true): number {
  const value = Number(text);
  if (!(value > 0) || (integer && !Number.isInteger(value)))
    throw new Error(`--${name} ${text}: not a positive number`);
  return value;
}

/** @returns the options, or undefined when only the usage was asked for. */
export function parseOptions(argv: readonly string[]): DemoOptions | undefined {
  const { values } = parseArgs({ args: [...argv], options: flags, strict: true });
  if (values.help) return undefined;
  const method = methodNames.find((name) => name === values.method);
  if (method === undefined) throw new Error(`--method ${values.method}: use ${methodNames.join(", ")}`);
  const real = values.data !== undefined;
  return {
    data: values.data,
    label: values.label,
    siteColumn: values["site-column"],
    method,
    rounds: positive("rounds", values.rounds ?? (real ? "50" : "6")),
    stepsPerRound: positive("steps", values.steps ?? "10"),
    batchSize: positive("batch", values.batch ?? (real ? "64" : "32")),
    imageSize: positive("image-size", values["image-size"]),
    patchSize: positive("patch-size", values["patch-size"]),
    learningRate:
      values["learning-rate"] === undefined ? undefined : positive("learning-rate", values["learning-rate"], false),
    threads: positive("threads", values.threads),
    seed: positive("seed", values.seed),
    testSplit: values["test-split"],
    compareLocal: !values["no-local"],
    directory: values.dir,
    json: values.json,
  };
}
