import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { type PlanTerms, planTerms } from "@consilium/shared/plan/terms.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { parseLanes } from "@consilium/shared/secagg/lanes.js";

/** What a plan asks for, worked out from the site's own code rather than taken from the plan. */
export interface CheckedPlan {
  readonly config: RunConfig;
  readonly layout: ParameterLayout;
}

/** Room for a safetensors header and padding beside the parameters. */
const headerAllowanceBytes = 16 * 1024 ** 2;
const longestWindowMs = 30 * 24 * 3600 * 1000;
const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** @throws ConsiliumError "plan-invalid" when the plan is malformed or is not about the model that this site would train. */
export function checkPlan(plan: RoundPlan): CheckedPlan {
  // site-check: run-id-form
  if (!runIdPattern.test(plan.key.runId)) throw invalid("the run's id is not one");
  const config = parseRunConfig(plan.runConfigJson);
  const layout = checkpointLayout(config);
  checkLayout(plan, layout);
  // site-check: plan-numbers
  checkNumbers(plan, config);
  // site-check: plan-lanes
  parseLanes(plan.lanes);
  return { config, layout };
}

/**
 * What turns sums into means, what bounds an update, how many sites hide it and which steps are trained must follow from
 * the run's configuration and the round, which policy and people judged: a coordinator that chose them freely could make
 * one site's part of a sum stand out, ask a private run for a figure that has no noise, or sum over fewer sites than the
 * noise was made for.
 * @throws ConsiliumError "plan-invalid"
 */
export function requireRunTerms(plan: RoundPlan, { config, layout }: CheckedPlan): void {
  const own = planTerms(config, layout, plan.key.round);
  // site-check: plan-run-first-step
  if (plan.firstStep !== own.firstStep) throw invalid("its first step is not that of its round");
  // site-check: plan-run-cohort
  if (!sameCohort(plan, own)) throw invalid("its cohort is not that of its run");
  // site-check: plan-run-windows
  if (!sameWindows(plan, own)) throw invalid("its windows are not those of its run");
  // site-check: plan-run-clips
  if (!sameClips(plan, own)) throw invalid("its clips are not those of its run");
  // site-check: plan-run-weight-cap
  if (plan.weightCap !== own.weightCap) throw invalid("its weight cap is not that of its run");
  // site-check: plan-run-lanes
  if (plan.lanes.join() !== own.lanes.join()) throw invalid("its lanes are not those of its run");
}

function sameCohort(plan: RoundPlan, own: PlanTerms): boolean {
  const { cohortSize, colluders, minCohort } = own;
  return plan.cohortSize === cohortSize && plan.colluders === colluders && plan.minCohort === minCohort;
}

function sameWindows(plan: RoundPlan, own: PlanTerms): boolean {
  return plan.trainingWindowMs === own.trainingWindowMs && plan.stageWindowMs === own.stageWindowMs;
}

type Clips = Pick<RoundPlan, "tensorClips" | "l2Clip">;

/** Logarithms and powers may differ in their last bit between versions of the JavaScript engine. */
function sameClips(plan: Clips, own: Clips): boolean {
  if (plan.tensorClips.length !== own.tensorClips.length || plan.l2Clip !== own.l2Clip) return false;
  return own.tensorClips.every((clip, i) => Math.abs(plan.tensorClips[i]! - clip) <= 1e-5 * clip);
}

function parseRunConfig(text: string): RunConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("its run configuration is not JSON");
  }
  const parsed = runConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
  throw invalid(`its run configuration does not fit this version's schema at "${where}"`);
}

function checkLayout(plan: RoundPlan, layout: ParameterLayout): void {
  // site-check: plan-dimension
  if (plan.dimension !== layout.dimension) {
    throw invalid(`it speaks of ${plan.dimension} parameters, its model has ${layout.dimension}`);
  }
  // site-check: layout-digest
  if (Buffer.compare(plan.layoutDigest, layout.digest) !== 0) throw invalid("its parameter layout is another one");
  // site-check: checkpoint-digest-form
  if (plan.checkpointDigest.length !== 32) throw invalid("its checkpoint digest is not 32 bytes");
  // site-check: checkpoint-size
  if (!(plan.checkpointBytes > 0 && plan.checkpointBytes <= plan.dimension * 4 + headerAllowanceBytes)) {
    throw invalid(`a checkpoint of ${plan.checkpointBytes} bytes does not hold ${plan.dimension} parameters`);
  }
}

function checkNumbers(plan: RoundPlan, config: RunConfig): void {
  if (plan.minCohort < plan.colluders + 2) throw invalid("its smallest cohort does not hide two honest sites");
  if (!(Number.isInteger(plan.weightCap) && plan.weightCap > 0)) throw invalid("its weight cap is not positive");
  const windows = [plan.trainingWindowMs, plan.stageWindowMs];
  if (!windows.every((ms) => ms > 0 && ms <= longestWindowMs)) throw invalid("a window is not within 30 days");
  const { round } = plan.key;
  if (!(Number.isInteger(round) && round >= 1 && round <= config.rounds)) throw invalid("its round is outside the run");
}

function invalid(reason: string): ConsiliumError {
  return new ConsiliumError("plan-invalid", `the coordinator's plan cannot be followed: ${reason}`, {
    remedy: "check that agent and coordinator have the same version",
  });
}
