import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import type { Random } from "@consilium/shared/random.js";
import { type CorruptionRule, corruptBlocks } from "@consilium/site-agent/data/augment/corruption.js";
import { corrupted, corruptionMap } from "@consilium/site-agent/data/view-plan.js";
import type { HostTensor, HostTensors } from "@consilium/site-agent/model/tensors.js";
import type { SslMethod } from "@consilium/site-agent/ssl/method.js";

const channels = 3;

/** Noise around a colour of each image's own, so that images differ from each other: bytes [images, size, size, 3]. */
function pixels(shape: readonly number[], random: Random): HostTensor {
  const [images = 0, ...rest] = shape;
  const each = sizeOf(rest);
  const data = new Uint8Array(images * each);
  for (let image = 0; image < images; image++) {
    const tint = Array.from({ length: channels }, () => random.integer(128));
    for (let at = 0; at < each; at++) data[image * each + at] = tint[at % channels]! + random.integer(128);
  }
  return { shape, data };
}

/** The corrupted images and their maps, as the data pipeline draws them. */
function corruptedViews(name: string, { shape, data }: HostTensor, rule: CorruptionRule, random: Random): HostTensors {
  const [images = 0, size = 0] = shape;
  const each = size * size * channels;
  const seen = new Uint8Array(images * each);
  const map = new Uint8Array(images * size * size);
  for (let image = 0; image < images; image++) {
    const drawn = corruptBlocks(Uint8Array.from(data.slice(image * each, (image + 1) * each)), rule, random);
    seen.set(drawn.pixels, image * each);
    map.set(drawn.map, image * size * size);
  }
  return {
    [corrupted(name)]: { shape, data: seen },
    [corruptionMap(name)]: { shape: [images, size, size, 1], data: map },
  };
}

/** One batch of random images with the method's own extra inputs. */
export function drawBatch(config: RunConfig, method: SslMethod, random: Random): HostTensors {
  const { batchSize } = config.training;
  const batch: Record<string, HostTensor> = { ...method.drawExtraInputs(batchSize, random) };
  for (const { name, size, kind } of method.views) {
    if (kind === "map") continue;
    const view = pixels([batchSize, size, size, channels], random);
    batch[name] = view;
    if ("dropShare" in config.method) Object.assign(batch, corruptedViews(name, view, config.method, random));
  }
  return batch;
}
