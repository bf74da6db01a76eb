import { randomBytes } from "node:crypto";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { unreachable } from "@consilium/shared/errors.js";
import type { DataSettings } from "./data-settings.js";
import { dicomSource } from "./dicom/dicom-source.js";
import { dicomwebSource } from "./dicomweb/dicomweb-source.js";
import { folderSource } from "./folder-source.js";
import { slideSource } from "./slide/slide-source.js";
import type { ImageSource } from "./source.js";
import { cachedSource } from "./tile-cache.js";
import { volumeSource } from "./volume/volume-source.js";

export interface OpenSourceOptions {
  readonly settings: DataSettings;
  /** Side of the model's input in pixels. */
  readonly imageSize: number;
}

/** For a look at a folder that belongs to no site; names are hashed differently the next time. */
const ownKey = randomBytes(32).toString("hex");

/** The one place that knows which kinds of sources there are; called in every thread that reads images. */
export function openSource(options: OpenSourceOptions): ImageSource {
  const source = sourceOf(options);
  const { source: kind, tileCache } = options.settings;
  // A photo is decoded from its file as fast as from a cache.
  if (tileCache === undefined || kind === "folder") return source;
  const deciding = canonicalJson(decidingSettings(options));
  return cachedSource(source, { ...tileCache, kindOf: () => deciding });
}

function sourceOf({ settings, imageSize }: OpenSourceOptions): ImageSource {
  const { nameKey = ownKey } = settings;
  const workingSize = settings.workingSize ?? 2 * imageSize;
  switch (settings.source) {
    case "folder":
      return folderSource({ settings, imageSize });
    case "dicom":
      return dicomSource({ settings, nameKey, workingSize });
    case "slide":
      return slideSource({ settings });
    case "volume":
      return volumeSource({ settings, nameKey, imageSize });
    case "dicomweb":
      return dicomwebSource({ settings, nameKey, workingSize });
    default:
      return unreachable(settings.source);
  }
}

/** What decides an image's pixels beside its file. */
function decidingSettings({ settings, imageSize }: OpenSourceOptions): object {
  const { source, dicom, slide, volume } = settings;
  const workingSize = settings.workingSize ?? 2 * imageSize;
  return { source, workingSize, ...(source === "slide" ? { slide } : source === "volume" ? { volume } : { dicom }) };
}
