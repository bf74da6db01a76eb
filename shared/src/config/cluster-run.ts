import { canonicalJson } from "../canonical-json.js";
import type { RunConfig } from "./run-config.js";

/** What a run of clusters has where others say how a model is trained. */

/** Nothing reads them, but every run has them. A round is one step: a pass over the site's images. */
const none = {
  model: { architecture: "vit-nano" },
  optimizer: { learningRate: 0 },
  training: { batchSize: 1, stepsPerRound: 1 },
} as const;

const remedy = "trains no model: leave it out";

/** Below this, the centroids that a run begins with may not fit an update. */
const leastL2Clip = 1000;

/** Round 1 is for the scaling, round 2 for the first cells. */
const fewestRounds = 2;

/** @param input a run as a researcher writes it, or anything else, which is left alone */
export function withoutTraining(input: unknown): unknown {
  return isClusterRun(input) ? { ...none, ...input } : input;
}

function isClusterRun(input: unknown): input is object {
  if (typeof input !== "object" || input === null || !("method" in input)) return false;
  const { method } = input;
  return typeof method === "object" && method !== null && "name" in method && method.name === "clusters";
}

type Checked = Pick<RunConfig, "model" | "optimizer" | "training" | "rounds" | "aggregation">;

/** Refuses what a run of clusters would not heed. */
export function checkClusterRun(config: Checked, refuse: (path: string[], message: string) => void): void {
  for (const part of ["model", "optimizer", "training"] as const) {
    if (!holds(config[part], none[part])) refuse([part], `clusters ${remedy}`);
  }
  const { strategy, l2Clip } = config.aggregation;
  if (config.rounds < fewestRounds)
    refuse(["rounds"], `clusters needs ${fewestRounds} at least: the first is for the scaling`);
  if (strategy.name !== "fedavg") refuse(["aggregation", "strategy"], "clusters adds statistics up: only fedavg does");
  if (l2Clip < leastL2Clip) refuse(["aggregation", "l2Clip"], `clusters needs ${leastL2Clip} at least`);
}

function holds(whole: object, part: object): boolean {
  const entries = new Map(Object.entries(whole));
  return Object.entries(part).every(([key, value]) => canonicalJson(entries.get(key)) === canonicalJson(value));
}
