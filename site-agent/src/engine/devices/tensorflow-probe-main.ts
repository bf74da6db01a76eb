import { asConsiliumError } from "@consilium/shared/errors.js";
import type { Finding } from "./probe-process.js";
import { openTensorflow } from "./tensorflow.js";
import type { TensorflowFound } from "./tensorflow-probe.js";

/** A process that loads native TensorFlow and tells its parent how that went. A library that crashes takes only this one along. */
function find(tensorflowDirectory: string | undefined): Finding<TensorflowFound> {
  try {
    const { libraryVersion, usesGpu } = openTensorflow(
      tensorflowDirectory === undefined ? {} : { tensorflowDirectory },
    );
    return { works: true, found: { libraryVersion, usesGpu } };
  } catch (thrown) {
    return { works: false, reason: asConsiliumError(thrown).message };
  }
}

process.send?.(find(process.argv[2]), () => process.exit(0));
