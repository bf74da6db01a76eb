import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { writeFileWhole } from "../durable-file.js";

/** A page that shows patients' images, for this user only. */
export interface PageFile {
  /** @throws ConsiliumError "storage" */
  write(text: string): void;
}

/**
 * To be called before the work of which the page tells: reading all images may take hours.
 * @throws ConsiliumError "storage" when the page cannot be written there
 */
export function pageFile(path: string): PageFile {
  attempt(path, () => {
    accessSync(dirname(resolve(path)), constants.W_OK);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new Error("it is a folder");
  });
  return { write: (text) => attempt(path, () => writeFileWhole(path, text, 0o600)) };
}

function attempt(path: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new ConsiliumError("storage", `${path}: the page cannot be written (${reason})`, {
      remedy: "name a file in a folder that is there and that you may write to",
      cause,
    });
  }
}
