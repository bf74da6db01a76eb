import type { Volume } from "./volume.js";

const labelName =
  /(?:^|[^a-z])(?:labels?|masks?|seg|segs|segmentations?|dseg|roi)(?:\d*)\.(?:nii(?:\.gz)?|nrrd|nhdr)$/i;
const fewValues = 32;

/**
 * Whether a volume names parts, such as a tumour's outline, rather than measures anything: by its name (…_label.nrrd,
 * …-mask.nii.gz, seg.nrrd), by its header (NIfTI's intent "label"), or when it holds at most 32 different whole numbers
 * from zero up, stored as integers. The last also takes a measurement with very few levels; whoever wants such a volume,
 * or a label map, names it in the labels file: what is named there is always taken.
 */
export function isLabelMap(id: string, volume: Volume): boolean {
  return labelName.test(id) || volume.declaredLabels === true || (volume.integers && hasFewValues(volume.data));
}

function hasFewValues(data: Float32Array): boolean {
  const seen = new Set<number>();
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value === data[i - 1]) continue;
    if (value < 0) return false;
    seen.add(value);
    if (seen.size > fewValues) return false;
  }
  return true;
}
