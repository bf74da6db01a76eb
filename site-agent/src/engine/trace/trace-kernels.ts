import type { TraceKernels } from "./kernel-call.js";
import { creationKernels } from "./kernels/creation.js";
import { elementwiseKernels } from "./kernels/elementwise.js";
import { gatheringKernels } from "./kernels/gathering.js";
import { joiningKernels } from "./kernels/joining.js";
import { productKernels } from "./kernels/products.js";
import { reductionKernels } from "./kernels/reductions.js";
import { shapeKernels } from "./kernels/shapes.js";

/** Every TensorFlow.js kernel that can be traced. */
export const traceKernels: TraceKernels = {
  ...creationKernels,
  ...elementwiseKernels,
  ...gatheringKernels,
  ...joiningKernels,
  ...productKernels,
  ...reductionKernels,
  ...shapeKernels,
};
