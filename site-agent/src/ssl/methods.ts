import { noModel } from "@consilium/shared/config/method-config.js";
import type { ResnetConfig, VitConfig } from "@consilium/shared/config/model-config.js";
import { isVit } from "@consilium/shared/config/model-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { ConsiliumError, unreachable } from "@consilium/shared/errors.js";
import { byol } from "./byol.js";
import { colorme } from "./colorme.js";
import { dino } from "./dino.js";
import { dinov2 } from "./dinov2.js";
import { gmml } from "./gmml.js";
import { ibot } from "./ibot.js";
import { mae } from "./mae.js";
import type { MethodContext, SslMethod } from "./method.js";
import { simclr } from "./simclr.js";
import { sit } from "./sit.js";

/** @throws ConsiliumError "config-invalid" when the method does not fit the model, "input-unsupported" without one */
export function createMethod(config: Pick<RunConfig, "model" | "method"> & MethodContext): SslMethod {
  const { model, method } = config;
  switch (method.name) {
    case "simclr":
      return simclr(model, method, config);
    case "byol":
      return byol(model, method, config);
    case "mae":
      return mae(vitOf(model), method);
    case "dino":
      return dino(vitOf(model), method, config);
    case "ibot":
      return ibot(vitOf(model), method, config);
    case "dinov2":
      return dinov2(vitOf(model), method, config);
    case "gmml":
      return gmml(vitOf(model), method);
    case "sit":
      return sit(vitOf(model), method, config);
    case "colorme":
      return colorme(model, method, config);
    case "clusters":
      throw noModel();
    default:
      return unreachable(method);
  }
}

function vitOf(model: VitConfig | ResnetConfig): VitConfig {
  if (isVit(model)) return model;
  throw new ConsiliumError("config-invalid", `the method works on patches, which ${model.architecture} has not`, {
    remedy: "choose a vision transformer",
  });
}
