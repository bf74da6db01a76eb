import type { MethodConfig } from "../config/method-config.js";
import type { VitConfig } from "../config/model-config.js";
import { architectureOf, mlpRatio, patchCount } from "./architecture.js";
import type { Initializer, ParameterSpec } from "./layout.js";
import { linear, norm, normal, truncated, xavier, zeros } from "./specs.js";

export interface VitBlock {
  readonly width: number;
  readonly initializer: Initializer;
  /** First value of LayerScale; absent: none. */
  readonly layerScale?: number | undefined;
}

/** A pre-norm transformer block: 12 width² + 13 width scalars, and 2 width of LayerScale. */
export function vitBlock(name: string, { width, initializer, layerScale }: VitBlock): ParameterSpec[] {
  const hidden = mlpRatio * width;
  const scale = (part: string): ParameterSpec[] =>
    layerScale === undefined
      ? []
      : [{ name: `${name}.${part}.gamma`, shape: [width], initializer: { kind: "constant", value: layerScale } }];
  return [
    ...norm(`${name}.norm1`, width),
    ...linear(`${name}.attn.qkv`, { inputs: width, outputs: 3 * width }, initializer),
    ...linear(`${name}.attn.proj`, { inputs: width, outputs: width }, initializer),
    ...scale("ls1"),
    ...norm(`${name}.norm2`, width),
    ...linear(`${name}.mlp.fc1`, { inputs: width, outputs: hidden }, initializer),
    ...linear(`${name}.mlp.fc2`, { inputs: hidden, outputs: width }, initializer),
    ...scale("ls2"),
  ];
}

/** How the tokens that are no patches start: DINOv2 near zero, the others as their papers have it. */
function tokenInitializer({ name }: MethodConfig): Initializer {
  if (name === "dinov2") return { kind: "normal", std: 1e-6 };
  return name === "mae" ? normal : truncated;
}

/** Methods that hide patches behind a token which the encoder sees. */
function hasMaskToken({ name }: MethodConfig): boolean {
  return name === "ibot" || name === "dinov2";
}

/**
 * A vision transformer under timm's names. Masked autoencoders start from Xavier's range and have fixed positions, the
 * others from a truncated normal.
 */
export function vitParameters(model: VitConfig, method: MethodConfig): ParameterSpec[] {
  const { width, depth } = architectureOf(model);
  const { patchSize, registers = 0, layerScale } = model;
  const masked = method.name === "mae";
  const initializer = masked ? xavier : truncated;
  const tokens = tokenInitializer(method);
  const channels = method.name === "colorme" ? 1 : 3;
  const optional = (present: boolean, spec: ParameterSpec): ParameterSpec[] => (present ? [spec] : []);
  return [
    { name: "cls_token", shape: [1, 1, width], initializer: tokens },
    ...optional(!masked, { name: "pos_embed", shape: [1, patchCount(model) + 1, width], initializer: truncated }),
    ...optional(registers > 0, { name: "register_tokens", shape: [1, registers, width], initializer: tokens }),
    ...optional(hasMaskToken(method), { name: "mask_token", shape: [1, width], initializer: zeros }),
    { name: "patch_embed.proj.weight", shape: [width, channels, patchSize, patchSize], initializer },
    { name: "patch_embed.proj.bias", shape: [width], initializer: zeros },
    ...Array.from({ length: depth }, (_, index) =>
      vitBlock(`blocks.${index}`, { width, initializer, layerScale }),
    ).flat(),
    ...norm("norm", width),
  ];
}
