import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { unreachable } from "@consilium/shared/errors.js";
import { mae } from "./mae.js";
import type { SslMethod } from "./method.js";
import { simclr } from "./simclr.js";

/** @throws ConsiliumError "config-invalid" when the method does not fit the model */
export function createMethod({ model, method }: Pick<RunConfig, "model" | "method">): SslMethod {
  switch (method.name) {
    case "simclr":
      return simclr(model, method);
    case "mae":
      return mae(model, method);
    default:
      return unreachable(method);
  }
}
