import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";

/** What a binding to TensorFlow is compiled and linked with. */
export interface TensorflowLibrary {
  readonly include: string;
  /** Folder of the shared libraries; the binding looks for them there for ever. */
  readonly libraries: string;
  readonly files: readonly string[];
}

export type Exists = (path: string) => boolean;

const header = join("tensorflow", "c", "eager", "c_api.h");

/** How TensorFlow comes: as a Python package, and as the library for C. */
const layouts = [
  { libraries: ".", files: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] },
  { libraries: "lib", files: ["libtensorflow.so.2", "libtensorflow_framework.so.2"] },
] as const;

/**
 * Finds headers and libraries in a folder of TensorFlow; the folder above, such as site-packages, does as well.
 * @throws ConsiliumError "config-invalid" naming what the folder lacks
 */
export function findLibrary(directory: string, exists: Exists): TensorflowLibrary {
  const root = [directory, join(directory, "tensorflow")].find((path) => exists(join(path, "include", header)));
  if (root === undefined) throw lacks(directory, join("include", header));
  for (const { libraries, files } of layouts) {
    const folder = join(root, libraries);
    if (files.every((file) => exists(join(folder, file)))) {
      return { include: join(root, "include"), libraries: folder, files };
    }
  }
  throw lacks(root, layouts[0].files.find((file) => !exists(join(root, file))) ?? layouts[0].files[0]);
}

function lacks(directory: string, what: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `${directory}: is no folder of TensorFlow, ${what} is not there`, {
    remedy:
      "name the folder that Python's tensorflow package is installed in, as " +
      "'python3 -c \"import tensorflow as t; print(t.__path__[0])\"' prints it",
  });
}

/**
 * Folder of Node's headers for native modules. They are the same for every version of Node.
 * @throws ConsiliumError "config-invalid" when no candidate holds them
 */
export function findNodeHeaders(candidates: readonly string[], exists: Exists): string {
  const found = candidates.find((path) => exists(join(path, "node_api.h")));
  if (found !== undefined) return found;
  throw new ConsiliumError("config-invalid", `the headers of Node are in none of ${candidates.join(", ")}`, {
    remedy: "install them (Debian: apt-get install libnode-dev), or run 'npx node-gyp install'",
  });
}
