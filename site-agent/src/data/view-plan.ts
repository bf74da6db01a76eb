import type { MethodConfig } from "@consilium/shared/config/method-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";

/** One array that the data pipeline makes of every image. */
export interface View {
  /** Name of the batch's input. */
  readonly name: string;
  /** Side of the square, in pixels. */
  readonly size: number;
  readonly channels: 1 | 3;
  /** "pixels": an image, which a method sees normalised. "map": bytes with a meaning of their own, seen as they are. */
  readonly kind: "pixels" | "map";
}

const pixels = (name: string, size: number): View => ({ name, size, channels: 3, kind: "pixels" });

export const globalViews = ["global1", "global2"] as const;

export function localViews({ localCrops }: { readonly localCrops: number }): string[] {
  return Array.from({ length: localCrops }, (_, index) => `local${index + 1}`);
}

/** What a view of a corrupted image is called, and its map: see `data/augment/corruption.ts`. */
export const corrupted = (view: string): string => `${view}Corrupted`;
export const corruptionMap = (view: string): string => `${view}Map`;

function corruptible(name: string, size: number): View[] {
  return [
    pixels(name, size),
    { name: corrupted(name), size, channels: 3, kind: "map" },
    { name: corruptionMap(name), size, channels: 1, kind: "map" },
  ];
}

/** The arrays of a run's method, in the order in which a batch holds them. */
export function viewPlan({ model, method }: Pick<RunConfig, "model" | "method">): readonly View[] {
  const { imageSize } = model;
  switch (method.name) {
    case "simclr":
    case "byol":
      return [pixels("view1", imageSize), pixels("view2", imageSize)];
    case "gmml":
    case "sit":
      return [...corruptible("view1", imageSize), ...corruptible("view2", imageSize)];
    case "dino":
    case "ibot":
    case "dinov2":
      return multiCrop(method, imageSize);
    default:
      return [pixels("view", imageSize)];
  }
}

function multiCrop(method: Extract<MethodConfig, { localCrops: number }>, imageSize: number): View[] {
  return [
    ...globalViews.map((name) => pixels(name, imageSize)),
    ...localViews(method).map((name) => pixels(name, method.localSize)),
  ];
}
