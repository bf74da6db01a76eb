import { ConsiliumError } from "@consilium/shared/errors.js";
import { eagerEngine } from "../eager-engine.js";
import type { Engine } from "../program.js";
import {
  checkUsable,
  installRemedy,
  loadTensorflow,
  type TensorflowBackend,
  tensorflowBackendName,
} from "./tensorflow-backend.js";
import { findTensorflowPackage, type TensorflowPackage } from "./tensorflow-package.js";

export interface TensorflowOptions {
  /** The folder that `engine install tensorflow` fills; absent: only packages beside this program are looked for. */
  readonly tensorflowDirectory?: string;
}

/**
 * Native TensorFlow through TensorFlow.js, op by op: slower than a compiled graph, but with every kernel of TensorFlow
 * and its CUDA support.
 * @throws ConsiliumError "config-invalid" when the package or its native part is missing or cannot be loaded
 */
export function tensorflowEngine(options: TensorflowOptions = {}): Engine {
  const { uploadPixels } = openTensorflow(options);
  return eagerEngine({ backend: tensorflowBackendName, uploadPixels });
}

/** The package, seen to be complete, not loaded yet. Throws as `tensorflowEngine`. */
export function findTensorflow({ tensorflowDirectory }: TensorflowOptions): TensorflowPackage {
  const found = findTensorflowPackage(tensorflowDirectory);
  if (found === undefined) {
    throw new ConsiliumError("config-invalid", "native TensorFlow is not installed", { remedy: installRemedy });
  }
  checkUsable(found);
  return found;
}

/** Loads the library into this process, once. Throws as `tensorflowEngine`. */
export function openTensorflow(options: TensorflowOptions): TensorflowBackend {
  return loadTensorflow(findTensorflow(options));
}
