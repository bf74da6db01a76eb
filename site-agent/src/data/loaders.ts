import { isMainThread } from "node:worker_threads";
import sharp from "sharp";

/**
 * Settings of libvips for the whole process, made when this module is first imported. Threads share them: one that
 * starts later must not close the loaders, even for a moment, under another that is decoding.
 */
if (isMainThread) {
  // Only the loaders that are promised: an SVG named .jpg must not make this process fetch what it refers to.
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({
    operation: ["VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadTiff", "VipsForeignLoadWebp"],
  });
  // libvips would answer from its cache for a file that has changed since.
  sharp.cache(false);
  // Images are decoded side by side; threads inside one image would compete with the training step.
  sharp.concurrency(1);
}
