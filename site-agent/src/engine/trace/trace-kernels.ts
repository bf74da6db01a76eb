import type { TraceKernels } from "./kernel-call.js";
import { activationKernels } from "./kernels/activations.js";
import { convolutionKernels } from "./kernels/convolution.js";
import { countingKernels } from "./kernels/counting.js";
import { creationKernels } from "./kernels/creation.js";
import { cumulationKernels } from "./kernels/cumulation.js";
import { elementwiseKernels } from "./kernels/elementwise.js";
import { gatheringKernels } from "./kernels/gathering.js";
import { imageKernels } from "./kernels/images.js";
import { joiningKernels } from "./kernels/joining.js";
import { logicKernels } from "./kernels/logic.js";
import { normalizationKernels } from "./kernels/normalization.js";
import { poolingKernels } from "./kernels/pooling.js";
import { productKernels } from "./kernels/products.js";
import { rearrangingKernels } from "./kernels/rearranging.js";
import { reductionKernels } from "./kernels/reductions.js";
import { scatteringKernels } from "./kernels/scattering.js";
import { shapeKernels } from "./kernels/shapes.js";

/** Every TensorFlow.js kernel that can be traced. */
export const traceKernels: TraceKernels = {
  ...activationKernels,
  ...convolutionKernels,
  ...countingKernels,
  ...creationKernels,
  ...cumulationKernels,
  ...elementwiseKernels,
  ...gatheringKernels,
  ...imageKernels,
  ...joiningKernels,
  ...logicKernels,
  ...normalizationKernels,
  ...poolingKernels,
  ...productKernels,
  ...rearrangingKernels,
  ...reductionKernels,
  ...scatteringKernels,
  ...shapeKernels,
};
