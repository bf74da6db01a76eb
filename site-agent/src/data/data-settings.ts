import { z } from "zod";
import { curationSettings } from "./curation/curation-settings.js";

/** Kinds of sources. */
export const sourceKinds = ["folder", "dicom", "dicomweb", "slide", "volume"] as const;
export type SourceKind = (typeof sourceKinds)[number];

const columns = z.strictObject({
  label: z.string().min(1).default("label"),
  /** Images of one patient or lesion. */
  group: z.string().min(1).default("group"),
  split: z.string().min(1).default("split"),
  /** What experts group by: laboratory, scanner, stain, tissue, disease. */
  attributes: z.array(z.string().min(1)).default([]),
});

const interval = z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high, "the first must be the smaller");

/** Radiographs and other pictures as DICOM objects; for `dicom`, `dicomweb`, and series of `volume`. */
const dicom = z.strictObject({
  /** Modalities that are taken, by DICOM's codes. Ultrasound (US) and secondary capture (SC, OT) often show names. */
  modalities: z.array(z.string().regex(/^[A-Z]{2,16}$/)).default(["CR", "DX", "MG", "CT", "MR", "SM"]),
  /** Takes images that say that names are burned into them. */
  allowBurnedIn: z.boolean().default(false),
  /** Instead of the window that the file names, in its rescaled values, such as Hounsfield units. */
  window: interval.optional(),
});

/** A picture archive that speaks DICOMweb (PS3.18). */
const dicomweb = z.strictObject({
  /** Base of the service, such as https://pacs.example.org/dicom-web. */
  url: z.url({ protocol: /^https?$/ }),
  modality: z
    .string()
    .regex(/^[A-Z]{2,16}$/)
    .optional(),
  bodyPart: z.string().min(1).optional(),
  /** Study dates, both included: YYYYMMDD. */
  from: z
    .string()
    .regex(/^\d{8}$/)
    .optional(),
  to: z
    .string()
    .regex(/^\d{8}$/)
    .optional(),
  /** File that holds the value of the Authorization header. */
  authorizationFile: z.string().min(1).optional(),
  /** Certificates of the archive's authority, PEM. */
  authorityFile: z.string().min(1).optional(),
  /** Objects that an archive is asked for at once. */
  pageSize: z.number().int().min(1).max(5000).default(200),
  /** Largest size of the local cache. */
  cacheMiB: z.number().int().min(64).default(10_240),
  timeoutSeconds: z.number().positive().default(60),
});

/** Tiles of whole slides. */
const slide = z.strictObject({
  /** Side of a tile in pixels. */
  tileSize: z.number().int().min(32).max(4096).default(256),
  /** Resolution of a tile, in micrometres per pixel. */
  micrometresPerPixel: z.number().positive().default(0.5),
  /** For slides that do not say their resolution; absent: these are left out. */
  assumedMicrometresPerPixel: z.number().positive().optional(),
  /** Least share of a tile that is tissue. */
  minTissue: z.number().min(0).max(1).default(0.5),
  /** Most tiles of one slide, drawn by chance from the slide's name; absent: all. */
  maxTiles: z.number().int().positive().optional(),
  /** Rejects tiles that are out of focus. */
  rejectBlur: z.boolean().default(true),
});

/** Slices of CT and MR. */
const volume = z.strictObject({
  /** Direction in which slices are cut, after the volume was turned to right, anterior, superior. */
  plane: z.enum(["axial", "coronal", "sagittal", "acquired"]).default("axial"),
  /** In the volume's values, such as Hounsfield units; absent: the file's own, else the 1st to 99th percentile. */
  window: interval.optional(),
  /** Every so many slices. */
  step: z.number().int().positive().default(1),
  /** Slices with a smaller share above the window's lower end are left out. */
  minForeground: z.number().min(0).max(1).default(0.05),
});

/** Where a site's images are and which of them may be trained on. Part of the site's own configuration. */
export const dataSettingsSchema = z
  .strictObject({
    source: z.enum(sourceKinds).default("folder"),
    /** Folder that is searched for images, with everything below it; of an archive, where what it sends is kept. */
    path: z.string().min(1),
    /** CSV file with a header row and a column `file`, relative to `path`; absent: `labels.csv` in the folder if there is one. */
    labels: z.string().min(1).optional(),
    /** Only rows of the labels file whose columns have these values, such as `{ split: train }`. */
    where: z.record(z.string(), z.string()).default({}),
    /** Names of the labels file's columns that are known to the agent. */
    columns: columns.prefault({}),
    /**
     * Whom a private run protects: all images of one group together, or each image by itself, which is right only where no
     * patient has two.
     */
    patients: z.enum(["by-group", "each-image"]).default("by-group"),
    dicom: dicom.prefault({}),
    dicomweb: dicomweb.optional(),
    slide: slide.prefault({}),
    volume: volume.prefault({}),
    /** How images are drawn for training; absent: each once in an epoch. */
    curation: curationSettings.optional(),
    /** File of the index of what is there, kept between runs; absent: in memory. */
    indexPath: z.string().min(1).optional(),
    /** Secret of the site, with which patients' and images' identifiers are hashed; hexadecimal. */
    nameKey: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    /** Where decoded tiles, slices and frames are kept; absent: nowhere. */
    tileCache: z.strictObject({ directory: z.string().min(1), limitBytes: z.number().int().positive() }).optional(),
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
  })
  .refine(({ source, dicomweb: archive }) => source !== "dicomweb" || archive !== undefined, {
    path: ["dicomweb"],
    message: "a source of kind dicomweb needs the archive's `url`",
  })
  // Every thread must make the same ids of an archive's identifiers.
  .refine(({ source, nameKey }) => source !== "dicomweb" || nameKey !== undefined, {
    path: ["nameKey"],
    message: "a source of kind dicomweb needs the site's `nameKey`",
  });

export type DataSettings = z.output<typeof dataSettingsSchema>;
