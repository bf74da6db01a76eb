import { join } from "node:path";
import { chosenFiles, rowFacts } from "./chosen-files.js";
import type { DataSettings } from "./data-settings.js";
import { decodeFile, readFacts } from "./decode.js";
import type { ImageSource } from "./source.js";

export interface FolderSourceOptions {
  readonly settings: DataSettings;
  /** Side of the model's input in pixels. */
  readonly imageSize: number;
}

/** Images in a folder and below it. */
export function folderSource({ settings, imageSize }: FolderSourceOptions): ImageSource {
  const workingSize = settings.workingSize ?? 2 * imageSize;
  return {
    files: (signal) => chosenFiles(settings, { signal }),
    async items({ id, stamp, row }) {
      const facts = await readFacts(join(settings.path, id), { id, limits: settings });
      return [{ id, stamp, ...rowFacts(row, settings.columns), facts }];
    },
    read: (item) => decodeFile(join(settings.path, item.id), { id: item.id, workingSize, limits: settings }),
    close: async () => {},
  };
}
