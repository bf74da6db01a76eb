import type { OptimizerConfig } from "@consilium/shared/config/run-config.js";
import { unreachable } from "@consilium/shared/errors.js";
import { adamw } from "./adamw.js";
import { lars } from "./lars.js";
import { sgd } from "./sgd.js";
import type { UpdateRule } from "./update-rule.js";

type ConfigOf<Name extends OptimizerConfig["name"]> = Extract<OptimizerConfig, { name: Name }>;
type Clipping = Partial<Pick<OptimizerConfig, "gradientClip" | "clipping">>;

/** What a step program is made from; rates come with every step. */
export type StepOptimizer = Clipping &
  (
    | Pick<ConfigOf<"adamw">, "name" | "beta1" | "beta2">
    | Pick<ConfigOf<"lars">, "name" | "momentum" | "trustCoefficient">
    | Pick<ConfigOf<"sgd">, "name" | "momentum">
  );

export function updateRule(optimizer: StepOptimizer): UpdateRule {
  switch (optimizer.name) {
    case "adamw":
      return adamw(optimizer);
    case "lars":
      return lars(optimizer);
    case "sgd":
      return sgd(optimizer);
    default:
      return unreachable(optimizer);
  }
}
