import type { Attributes } from "./attributes.js";
import { type Geometry, readGeometry, readGroupGeometry } from "./geometry.js";
import { identity, type ModalityTransform, readModalityTransform } from "./lookup-table.js";
import type { PixelModule } from "./pixel-module.js";
import { itemTags, tags } from "./tags.js";
import { readVoi, type Voi } from "./voi.js";

/** What is said of one frame: by the object, by its shared functional groups, or by the frame's own. */
export interface FrameFacts {
  readonly geometry: Geometry;
  readonly modality: ModalityTransform;
  readonly voi: Voi | undefined;
  /** Of a slide: column and row of its first pixel in the whole picture, from 0. */
  readonly tile: { readonly x: number; readonly y: number } | undefined;
}

/**
 * One entry for each frame, or only one where all frames are alike.
 * @throws DicomProblem "damaged"
 */
export function readFrameFacts(attributes: Attributes, pixels: PixelModule): readonly FrameFacts[] {
  const modality = readModalityTransform(attributes, pixels.signed) ?? identity;
  const voi = readVoi(attributes, modality, pixels.signed);
  const whole: FrameFacts = { geometry: readGeometry(attributes), modality, voi, tile: undefined };
  const sharedGroup = attributes.item(tags.sharedGroups);
  const shared = sharedGroup === undefined ? whole : refine(whole, sharedGroup, pixels.signed);
  const groups = attributes.items(tags.frameGroups).slice(0, pixels.frames);
  return groups.length === 0 ? [shared] : groups.map((group) => refine(shared, group, pixels.signed));
}

export function factsOf(facts: readonly FrameFacts[], frame: number): FrameFacts {
  return facts[frame] ?? facts[0]!;
}

function refine(facts: FrameFacts, group: Attributes, signed: boolean): FrameFacts {
  const transformation = group.item(itemTags.valueTransformation);
  const modality = (transformation && readModalityTransform(transformation, signed)) ?? facts.modality;
  const frameVoi = group.item(itemTags.frameVoi);
  const place = group.item(itemTags.slidePosition);
  return {
    geometry: { ...facts.geometry, ...readGroupGeometry(group) },
    modality,
    voi: (frameVoi && readVoi(frameVoi, modality, signed)) ?? facts.voi,
    tile: (place && readTile(place)) ?? facts.tile,
  };
}

/** The file counts from 1. */
function readTile(place: Attributes): FrameFacts["tile"] {
  const column = place.long(itemTags.slideColumn, true);
  const row = place.long(itemTags.slideRow, true);
  return column === undefined || row === undefined ? undefined : { x: column - 1, y: row - 1 };
}
