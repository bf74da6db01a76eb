import { type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { cosineAt } from "@consilium/shared/schedules.js";

/** What the schedules of a method depend on besides its own settings. */
export type ScheduleConfig = Pick<RunConfig, "rounds" | "training">;

type Schedule = (globalStep: number) => number;

/** Half a cosine from the first momentum to the final one, per step (Grill et al. 2020). */
export function momentumSchedule(
  { momentum, finalMomentum }: { readonly momentum: number; readonly finalMomentum: number },
  config: ScheduleConfig,
): Schedule {
  const schedule = { base: momentum, final: finalMomentum, steps: totalSteps(config), warmupSteps: 0 };
  return (step) => cosineAt(step, schedule);
}

/** Linear from the first value to the final one over a share of all steps, then constant (Caron et al. 2021). */
export function linearWarmup(
  { first, final, share }: { readonly first: number; readonly final: number; readonly share: number },
  config: ScheduleConfig,
): Schedule {
  const length = Math.round(share * totalSteps(config));
  return (step) => (step >= length || length <= 1 ? final : first + ((final - first) * step) / (length - 1));
}

/** 0 during the first share of all steps, 1 afterwards. */
export function stepAfter(share: number, config: ScheduleConfig): Schedule {
  const length = Math.round(share * totalSteps(config));
  return (step) => (step < length ? 0 : 1);
}

/** 0 during the first share of all steps, then 1, 2, 3 and so on. */
export function stepsSince(share: number, config: ScheduleConfig): Schedule {
  const length = Math.round(share * totalSteps(config));
  return (step) => Math.max(0, step - length + 1);
}
