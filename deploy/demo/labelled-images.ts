import { plainView } from "@consilium/site-agent/data/augment/augment.js";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { folderSource } from "@consilium/site-agent/data/folder-source.js";
import { listItems } from "@consilium/site-agent/data/list-items.js";
import type { FeatureSet } from "@consilium/site-agent/eval/feature-set.js";
import { normalisedPixels } from "@consilium/site-agent/model/pixel-scale.js";

/** Images of one split with their classes, ready for evaluation. */
export interface LabelledImages {
  /** 8-bit, each [imageSize, imageSize, 3]. */
  readonly images: readonly Uint8Array[];
  /** Class indices. */
  readonly labels: Int32Array;
}

export interface LabelledFolder {
  readonly path: string;
  readonly labelColumn: string;
  readonly imageSize: number;
}

/** Reads one split of a folder. `classes` names the class of each index. */
export async function readSplit(
  folder: LabelledFolder,
  split: string,
  classes: readonly string[],
): Promise<LabelledImages> {
  const settings = dataSettingsSchema.parse({
    path: folder.path,
    where: { split },
    columns: { label: folder.labelColumn },
  });
  const source = folderSource({ settings, imageSize: folder.imageSize });
  const images: Uint8Array[] = [];
  const labels: number[] = [];
  for (const item of await listItems(source)) {
    const label = classes.indexOf(item.label ?? "");
    if (label < 0) continue;
    images.push(plainView(await source.read(item), folder.imageSize));
    labels.push(label);
  }
  await source.close();
  if (images.length === 0) throw new Error(`${folder.path}/labels.csv: no image of split '${split}' has a label`);
  return { images, labels: Int32Array.from(labels) };
}

/** Normalised pixels as features: the honest floor of every comparison. */
export function pixelFeatures({ images }: LabelledImages): FeatureSet {
  const width = images[0]!.length;
  const values = new Float32Array(images.length * width);
  for (const [index, image] of images.entries()) values.set(normalisedPixels(image), index * width);
  return { count: images.length, width, values };
}
