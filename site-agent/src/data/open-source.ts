import type { DataSettings } from "./data-settings.js";
import { folderSource } from "./folder-source.js";
import type { ImageSource } from "./source.js";

export interface OpenSourceOptions {
  readonly settings: DataSettings;
  /** Side of the model's input in pixels. */
  readonly imageSize: number;
}

/** The one place that knows which kinds of sources there are; called in every thread that reads images. */
export function openSource(options: OpenSourceOptions): ImageSource {
  return folderSource(options);
}
