import { rowFacts } from "../chosen-files.js";
import type { DataSettings } from "../data-settings.js";
import { type FoundItem, partId, type SourceFile, UnreadableImage } from "../source.js";
import type { DicomHeader, ImageHeader } from "./header.js";

type Rules = Pick<DataSettings, "dicom" | "columns">;

/**
 * The images of an object: itself, or its frames, with what the header and the labels file say of them.
 * @throws UnreadableImage "no-pixels", "modality-excluded", "burned-in"
 */
export function itemsOf(header: DicomHeader, file: SourceFile, rules: Rules): readonly FoundItem[] {
  const image = requireWanted(header, file.id, rules);
  const { columns: width, rows: height, frames } = image.pixels;
  const modality = header.modality === undefined ? {} : { modality: header.modality };
  const facts = { format: "dicom", width, height, ...modality, transferSyntax: header.encoding.uid };
  const common = { stamp: file.stamp, ...metadataOf(header, file, rules), facts };
  if (frames === 1) return [{ id: file.id, ...common }];
  return Array.from({ length: frames }, (_, frame) => ({ id: partId(file.id, `f${frame}`), ...common }));
}

function requireWanted({ image, modality, burnedIn }: DicomHeader, id: string, { dicom }: Rules): ImageHeader {
  if (image === undefined) throw new UnreadableImage(id, "no-pixels");
  if (modality === undefined || !dicom.modalities.includes(modality)) {
    throw new UnreadableImage(id, "modality-excluded", { detail: modality ?? "says no modality" });
  }
  if (burnedIn && !dicom.allowBurnedIn) throw new UnreadableImage(id, "burned-in");
  return image;
}

/** What the labels file says wins over the header. */
function metadataOf(header: DicomHeader, { row }: SourceFile, { columns }: Rules) {
  const { modality, manufacturer, model } = header;
  const own = Object.entries({ modality, manufacturer, model }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const labelled = rowFacts(row, columns);
  const group = header.hashes.patient;
  return {
    ...(group === undefined ? {} : { group }),
    ...labelled,
    attributes: { ...Object.fromEntries(own), ...labelled.attributes },
  };
}

/** @returns the frame that an item's part names; 0 for a whole file */
export function frameOf(part: string | undefined): number {
  return part === undefined ? 0 : Number(part.slice(1));
}
