import { z } from "zod";

/** Where a site's images are and which of them may be trained on. Part of the site's own configuration. */
export const dataSettingsSchema = z.strictObject({
  /** Folder that is searched for images, with everything below it. */
  path: z.string().min(1),
  /** CSV file with a header row and a column `file`, relative to `path`; absent: `labels.csv` in the folder if there is one. */
  labels: z.string().min(1).optional(),
  /** Only rows of the labels file whose columns have these values, such as `{ split: train }`. */
  where: z.record(z.string(), z.string()).default({}),
  /** Names of the labels file's columns that are known to the agent. */
  columns: z
    .strictObject({
      label: z.string().min(1).default("label"),
      /** Images of one patient or lesion. */
      group: z.string().min(1).default("group"),
      split: z.string().min(1).default("split"),
    })
    .prefault({}),
  /** Short side, in pixels, that images are decoded to; absent: twice the image size of the run, or more for its small crops. */
  workingSize: z.number().int().positive().optional(),
  /** Larger images are refused before they are decoded. */
  maxPixels: z.number().int().positive().default(400_000_000),
  maxFileBytes: z
    .number()
    .int()
    .positive()
    .default(2 * 1024 ** 3),
  /** Memory for decoded images; they are decoded again when it is used up. */
  cacheBytes: z
    .number()
    .int()
    .min(0)
    .default(1024 ** 3),
  /** Images that are decoded at the same time. */
  concurrency: z.number().int().min(1).max(64).default(2),
  /** Largest share of unreadable images with which training goes on. */
  maxUnreadableShare: z.number().min(0).max(1).default(0.2),
});

export type DataSettings = z.output<typeof dataSettingsSchema>;
