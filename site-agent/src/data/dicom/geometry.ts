import type { Attributes } from "./attributes.js";
import { itemTags, tags } from "./tags.js";

/** Where the pixels of a frame lie in the patient. All in millimetres, as PS3.3 C.7.6.2 defines them. */
export interface Geometry {
  /** Between the centres of neighbouring columns (x) and rows (y). */
  readonly spacing?: { readonly x: number; readonly y: number };
  /** Direction cosines of a row, then of a column (Image Orientation (Patient)). */
  readonly orientation?: readonly number[];
  /** Centre of the first pixel (Image Position (Patient)). */
  readonly position?: readonly number[];
  readonly sliceThickness?: number;
  readonly sliceSpacing?: number;
}

/** What the object says for all of its frames. */
export function readGeometry(attributes: Attributes): Geometry {
  const spacing =
    readSpacing(attributes, tags.pixelSpacing) ??
    readSpacing(attributes, tags.imagerSpacing) ??
    readSpacing(attributes, tags.scannedSpacing);
  return { ...planeOf(attributes), ...(spacing === undefined ? {} : { spacing }), ...slicesOf(attributes) };
}

/** What a functional group says (PS3.3 C.7.6.16.2). */
export function readGroupGeometry(group: Attributes): Geometry {
  const measures = group.item(itemTags.pixelMeasures);
  const spacing = measures && readSpacing(measures, tags.pixelSpacing);
  const position = group.item(itemTags.planePosition);
  const orientation = group.item(itemTags.planeOrientation);
  return {
    ...(measures && slicesOf(measures)),
    ...(spacing === undefined ? {} : { spacing }),
    ...(position && planeOf(position)),
    ...(orientation && planeOf(orientation)),
  };
}

function planeOf(attributes: Attributes): Pick<Geometry, "orientation" | "position"> {
  const orientation = attributes.numbers(tags.orientation);
  const position = attributes.numbers(tags.position);
  return {
    ...(orientation?.length === 6 ? { orientation } : {}),
    ...(position?.length === 3 ? { position } : {}),
  };
}

function slicesOf(attributes: Attributes): Pick<Geometry, "sliceThickness" | "sliceSpacing"> {
  const sliceThickness = attributes.number(tags.sliceThickness);
  const sliceSpacing = attributes.number(tags.sliceSpacing);
  return {
    ...(sliceThickness === undefined ? {} : { sliceThickness }),
    ...(sliceSpacing === undefined ? {} : { sliceSpacing }),
  };
}

/** Rows come first in the file. */
function readSpacing(attributes: Attributes, tag: number): Geometry["spacing"] {
  const [y, x] = attributes.numbers(tag) ?? [];
  return x === undefined || y === undefined || x <= 0 || y <= 0 ? undefined : { x, y };
}
