import type { Attributes } from "./attributes.js";
import { type LookupTable, lookUp, type ModalityTransform, readTable } from "./lookup-table.js";
import { tags } from "./tags.js";

export type WindowFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export interface Window {
  readonly kind: "window";
  readonly center: number;
  readonly width: number;
  readonly shape: WindowFunction;
}

/** Which values are shown, and how (PS3.3 C.11.2). */
export type Voi = Window | { readonly kind: "table"; readonly table: LookupTable };

/** The VOI LUT Sequence, else the first window that can be used. */
export function readVoi(attributes: Attributes, modality: ModalityTransform, signed: boolean): Voi | undefined {
  const item = attributes.item(tags.voiTable);
  // Inputs are signed where the rescaled values may be negative.
  const signedInput = modality.kind === "linear" && (signed || modality.intercept < 0);
  if (item !== undefined) return { kind: "table", table: readTable(item, signedInput) };
  const center = attributes.number(tags.windowCenter);
  const width = attributes.number(tags.windowWidth);
  if (center === undefined || width === undefined) return undefined;
  const said = attributes.text(tags.windowFunction);
  const shape = said === "LINEAR_EXACT" || said === "SIGMOID" ? said : "LINEAR";
  const least = shape === "LINEAR" ? 1 : Number.MIN_VALUE;
  return width >= least ? { kind: "window", center, width, shape } : undefined;
}

/** @returns the share of full white, 0 to 1 */
export function voiShade(voi: Voi, value: number): number {
  return voi.kind === "window" ? windowShade(voi, value) : lookUp(voi.table, value) / (2 ** voi.table.bits - 1);
}

/** PS3.3 C.11.2.1.2.1 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT), for an output from 0 to 1. */
function windowShade({ center, width, shape }: Window, value: number): number {
  if (shape === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - center)) / width));
  if (shape === "LINEAR_EXACT") {
    if (value <= center - width / 2) return 0;
    return value > center + width / 2 ? 1 : (value - center) / width + 0.5;
  }
  const middle = center - 0.5;
  const reach = (width - 1) / 2;
  if (value <= middle - reach) return 0;
  return value > middle + reach ? 1 : (value - middle) / (width - 1) + 0.5;
}

/** A window from black at `low` to white at `high`. */
export function windowBetween([low, high]: readonly [number, number]): Window {
  return { kind: "window", center: (low + high) / 2, width: high - low, shape: "LINEAR_EXACT" };
}
