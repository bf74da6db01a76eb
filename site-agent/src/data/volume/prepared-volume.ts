import type { DataSettings } from "../data-settings.js";
import { isLabelMap } from "./label-map.js";
import { toRas } from "./orientation.js";
import { foregroundShares, type Plane, sliceSides, squareSides } from "./slice.js";
import type { Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";
import { type GreyVolume, windowed, windowOf } from "./window.js";

/** A volume ready to be cut: turned as the plane wants it, in levels of grey, a quarter of what its values take. */
export interface PreparedVolume extends GreyVolume {
  readonly format: Volume["format"];
  readonly modality?: string;
  readonly isLabelMap: boolean;
}

/** @throws VolumeFault "no-tissue" for a volume without contrast, "too-small" */
export function prepare(id: string, volume: Volume, settings: DataSettings): PreparedVolume {
  const { plane } = settings.volume;
  const window = windowOf(volume, settings.volume.window);
  const grey = windowed(volume, window);
  const turned = plane === "acquired" ? grey : toRas(grey);
  requireUsable(turned, plane, settings.maxPixels);
  const { format, modality } = volume;
  return { ...turned, format, isLabelMap: isLabelMap(id, volume), ...(modality === undefined ? {} : { modality }) };
}

/** Slices with fewer voxels along a side show no anatomy. */
const leastSide = 16;

function requireUsable(volume: GreyVolume, plane: Plane, maxPixels: number): void {
  const { width, height } = sliceSides(volume.dims, plane);
  if (Math.min(width, height) < leastSide) {
    throw new VolumeFault("too-small", `slices of ${width}×${height} voxels, at least ${leastSide} are wanted`);
  }
  const square = squareSides(volume, plane);
  if (square.width * square.height > maxPixels) {
    throw new VolumeFault("too-many-pixels", `slices of ${square.width}×${square.height}, at most ${maxPixels}`);
  }
}

/**
 * The slices that training may take: every so many, with enough foreground.
 * @throws VolumeFault "no-tissue" when none has
 */
export function usableSlices(
  volume: GreyVolume,
  { plane, step, minForeground }: DataSettings["volume"],
): readonly number[] {
  const shares = foregroundShares(volume, plane);
  const usable = [...shares.keys()].filter((index) => index % step === 0 && shares[index]! >= minForeground);
  if (usable.length === 0) throw new VolumeFault("no-tissue", "no slice has enough foreground");
  return usable;
}
