import type { MethodName } from "@consilium/shared/config/method-config.js";
import type { JitterStrength } from "./colour.js";
import type { Appearance, AugmentationSettings, ViewRole } from "./recipe.js";

/** Crops, colours and blur as each method's paper or released recipe has them. */

/** Below this side, blur would wipe out what a patch shows and small crops would hold a few pixels. */
const smallImage = 96;
/** Least share of the area that a large crop takes then. */
const leastShareOfSmall = 0.2;

/** Image size for which blur is described. */
const blurReferenceSize = 224;

type Jitter = JitterStrength & { readonly probability: number };

const noJitter: Jitter = { brightness: 0, contrast: 0, saturation: 0, hue: 0, probability: 0 };

const jitterOf = (brightness: number, contrast: number, saturation: number, hue: number): Jitter => ({
  ...{ brightness, contrast, saturation, hue },
  probability: 0.8,
});

const plain: Appearance = {
  cropScale: [0.2, 1],
  interpolation: "bicubic",
  jitter: noJitter,
  grayscale: 0,
  blur: 0,
  blurSigma: [0.1, 2],
  blurRadius: undefined,
  solarize: 0,
  stain: undefined,
  radiograph: undefined,
  colourConstancy: false,
};

/** Chen et al. 2020, strength 1; blur of kernel 23, always. */
const simclr: Appearance = {
  ...plain,
  cropScale: [0.08, 1],
  interpolation: "bilinear",
  jitter: jitterOf(0.8, 0.8, 0.8, 0.2),
  grayscale: 0.2,
  blur: 1,
  blurRadius: 11,
};

/** Grill et al. 2020: half the strength; the second view is seldom blurred and sometimes solarised. */
function byol(second: boolean): Appearance {
  return {
    ...simclr,
    jitter: jitterOf(0.4, 0.4, 0.4, 0.1),
    blur: second ? 0.1 : 1,
    solarize: second ? 0.2 : 0,
  };
}

/** Caron et al. 2021 and its successors: what their crops have in common. */
function multiCrop(role: ViewRole): Appearance {
  const second = role.kind === "large" && role.index === 2;
  return {
    ...plain,
    jitter: jitterOf(0.4, 0.4, 0.2, 0.1),
    grayscale: 0.2,
    blur: role.kind === "small" ? 0.5 : second ? 0.1 : 1,
    solarize: second ? 0.2 : 0,
  };
}

/** Shares of the area: [large crops, small crops]. */
const cropScales: Readonly<Partial<Record<MethodName, readonly [Appearance["cropScale"], Appearance["cropScale"]]>>> = {
  dino: [
    [0.4, 1],
    [0.05, 0.4],
  ],
  ibot: [
    [0.14, 1],
    [0.05, 0.25],
  ],
  dinov2: [
    [0.32, 1],
    [0.05, 0.32],
  ],
};

function multiCropOf(method: MethodName, role: ViewRole): Appearance {
  const [large, small] = cropScales[method] ?? [plain.cropScale, plain.cropScale];
  return { ...multiCrop(role), cropScale: role.kind === "small" ? small : large };
}

/**
 * DINOv2's kernel of 9. Its released code blurs with one minus the probability that is named ("as-run"): the first large
 * crop never, the second in nine of ten.
 */
function dinov2(role: ViewRole, semantics: "as-run" | "as-named"): Appearance {
  const named = multiCropOf("dinov2", role);
  return { ...named, blurRadius: 4, blur: semantics === "as-run" ? 1 - named.blur : named.blur };
}

/** Atito et al. 2021. */
const gmml: Appearance = {
  ...plain,
  cropScale: [0.05, 1],
  jitter: { brightness: 0.1, contrast: 0.1, saturation: 0.1, hue: 0.01, probability: 0.3 },
  blur: 0.1,
};

function ofMethod({ method, augmentation }: AugmentationSettings, role: ViewRole): Appearance {
  const second = role.kind === "large" && role.index === 2;
  switch (method.name) {
    case "simclr":
      return simclr;
    case "byol":
      return byol(second);
    case "dino":
    case "ibot":
      return multiCropOf(method.name, role);
    case "dinov2":
      return dinov2(role, augmentation.blurProbability ?? "as-run");
    case "gmml":
      return gmml;
    case "sit":
      return { ...multiCrop(role), cropScale: [0.2, 1] };
    case "colorme":
      return { ...plain, cropScale: undefined };
    default:
      return plain;
  }
}

/** Radiographs have no colour, and their grey level carries meaning: half the strength, and nothing is inverted. */
function withoutColour(appearance: Appearance): Appearance {
  const { brightness, contrast, probability } = appearance.jitter;
  const half = { brightness: brightness / 2, contrast: contrast / 2, saturation: 0, hue: 0, probability };
  return { ...appearance, jitter: half, grayscale: 0, solarize: 0 };
}

/** Less extreme, where a view is small. */
function ofSmallView(appearance: Appearance, role: ViewRole): Appearance {
  const { cropScale } = appearance;
  if (cropScale === undefined || role.kind === "small") return { ...appearance, blur: 0 };
  return { ...appearance, blur: 0, cropScale: [Math.max(leastShareOfSmall, cropScale[0]), cropScale[1]] };
}

/** Blur as wide, beside what large crops show, as it is at the size for which it is described; in small crops too. */
function withBlurInPixels(appearance: Appearance, imageSize: number): Appearance {
  const scale = imageSize / blurReferenceSize;
  const [least, most] = appearance.blurSigma;
  const radius = appearance.blurRadius;
  return {
    ...appearance,
    blurSigma: [least * scale, most * scale],
    blurRadius: radius === undefined ? undefined : Math.max(1, Math.round(radius * scale)),
  };
}

/** @param size side of the view, in pixels; blur is off by default below 96, and large crops take a fifth at least */
export function appearanceOf(settings: AugmentationSettings, role: ViewRole, size: number): Appearance {
  const own = withBlurInPixels(ofMethod(settings, role), settings.model.imageSize);
  const inColour = settings.modality === "radiograph" ? withoutColour(own) : own;
  return size < smallImage ? ofSmallView(inColour, role) : inColour;
}
