import { z } from "zod";

/** How a site draws images for training, instead of taking each once in an epoch. */
export const curationSettings = z.strictObject({
  /** Attributes whose values make the groups: columns of `data.columns.attributes`, or what files say, such as `scanner`. */
  groupBy: z.array(z.string().min(1)).default([]),
  /** A group of n images is drawn in proportion to n^exponent: 1 as there are images, 0 every group alike. */
  exponent: z.number().min(0).max(1).default(0.5),
  /** File of clusters that `consilium-agent curate cluster` wrote; absent: images are not told apart. */
  clusters: z.string().min(1).optional(),
  /** Attribute that names an image's slide, for patches that lie in files of their own; absent: the file. */
  slideBy: z.string().min(1).optional(),
  /** Most draws of a patient (`data.columns.group`, else the slide) in an epoch; absent: no limit. */
  maxPerPatient: z.number().int().positive().optional(),
  /** Takes one of images that look alike. Needs `clusters`, whose making compares the images. */
  dropCopies: z.boolean().default(true),
});

export type CurationSettings = z.output<typeof curationSettings>;
