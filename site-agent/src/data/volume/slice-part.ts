import type { Plane } from "./slice.js";

/** What the part of an item's id says of its slice. */
export interface SlicePart {
  /** Keyed hash of the DICOM series; absent where a file is one volume. */
  readonly series?: string;
  readonly plane: Plane;
  readonly index: number;
}

/** @returns such as `axial:57`, or `3f2a9c41d0b7e586:axial:57` for one of the series in a folder */
export function slicePart({ series, plane, index }: SlicePart): string {
  return `${series === undefined ? "" : `${series}:`}${plane}:${index}`;
}

/** @returns undefined for what `slicePart` did not make */
export function parseSlicePart(part: string | undefined): SlicePart | undefined {
  const found = /^(?:([0-9a-f]+):)?(axial|coronal|sagittal|acquired):(\d{1,9})$/.exec(part ?? "");
  if (found === null) return undefined;
  const series = found[1];
  return { ...(series === undefined ? {} : { series }), plane: found[2] as Plane, index: Number(found[3]) };
}
