import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Tensor, tf } from "../../model/tf.js";
import type { UploadPixels } from "../eager-tensors.js";
import { ownTfjsDirectory, type TensorflowPackage } from "./tensorflow-package.js";

export const tensorflowBackendName = "tensorflow";

export const installRemedy = "run 'consilium-agent engine install tensorflow'";

/** Native TensorFlow as a registered TensorFlow.js backend. */
export interface TensorflowBackend {
  readonly from: TensorflowPackage;
  /** Version of the native library. */
  readonly libraryVersion: string;
  readonly usesGpu: boolean;
  readonly uploadPixels: UploadPixels;
}

/** What is used of the package's native part. */
interface Binding {
  readonly TF_Version: string;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_UINT8: number;
  readonly TF_FLOAT: number;
  isUsingGpuDevice(): boolean;
  createTensor(shape: readonly number[], dtype: number, values: Uint8Array): number;
  deleteTensor(id: number): void;
  executeOp(name: string, attributes: readonly object[], inputs: readonly number[], outputs: number): object[];
}

interface NativeBackend {
  createOutputTensor(metadata: object): Tensor;
}

interface BackendModule {
  readonly NodeJSKernelBackend: new (
    binding: Binding,
    packageName: string,
  ) => NativeBackend & InstanceType<typeof tf.KernelBackend>;
}

let loaded: TensorflowBackend | undefined;

/**
 * Loads the package's kernels and native part, once per process, and registers them with this program's TensorFlow.js.
 * Unlike the package's own entry it neither becomes the active backend nor needs the package's install tools.
 * @throws ConsiliumError "config-invalid" when something is missing or cannot be loaded, with a remedy
 */
export function loadTensorflow(from: TensorflowPackage): TensorflowBackend {
  loaded ??= load(from, checkUsable(from));
  return loaded;
}

/**
 * Looks, without loading, whether the package is complete.
 * @returns the path of its native part
 * @throws ConsiliumError "config-invalid" with a remedy
 */
export function checkUsable(from: TensorflowPackage): string {
  if (from.binding === undefined) throw unusable(from, "its native part has not been built", installRemedy);
  requireShared(requireIn(from), from);
  return from.binding;
}

function requireIn({ directory }: TensorflowPackage): NodeJS.Require {
  return createRequire(join(directory, "package.json"));
}

function load(from: TensorflowPackage, bindingPath: string): TensorflowBackend {
  const require = requireIn(from);
  addMissingUtil(require);
  const binding = loadBinding(require, from, bindingPath);
  const backend = register(require, from, binding);
  return {
    from,
    libraryVersion: binding.TF_Version,
    usesGpu: binding.isUsingGpuDevice(),
    uploadPixels: (bytes, shape) => widenOnDevice({ binding, backend }, bytes, shape),
  };
}

function register(require: NodeJS.Require, from: TensorflowPackage, binding: Binding): NativeBackend {
  try {
    require("./dist/register_all_kernels.js");
    const { NodeJSKernelBackend: Backend }: BackendModule = require("./dist/nodejs_kernel_backend.js");
    const backend = new Backend(binding, from.name);
    tf.registerBackend(tensorflowBackendName, () => backend);
    return backend;
  } catch (cause) {
    throw unusable(from, reasonOf(cause), installRemedy, cause);
  }
}

/** A second copy of TensorFlow.js would register its gradients over ours. */
function requireShared(require: NodeJS.Require, from: TensorflowPackage): void {
  const own = ownTfjsDirectory();
  let theirs: string;
  try {
    theirs = dirname(require.resolve("@tensorflow/tfjs/package.json"));
  } catch (cause) {
    throw unusable(from, "it does not find TensorFlow.js", `${installRemedy} again`, cause);
  }
  if (theirs !== own) throw unusable(from, `it uses another TensorFlow.js, in ${theirs}`, `${installRemedy} again`);
}

/** Node 23 removed a function that the package calls. */
function addMissingUtil(require: NodeJS.Require): void {
  const util: { isNullOrUndefined?: (value: unknown) => boolean } = require("node:util");
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
}

function loadBinding(require: NodeJS.Require, from: TensorflowPackage, path: string): Binding {
  try {
    const binding: Binding = require(path);
    return binding;
  } catch (cause) {
    const reason = reasonOf(cause);
    const moved = /cannot open shared object file|Library not loaded|specified module could not be found/.test(reason);
    const remedy = moved
      ? `the TensorFlow library was moved or removed: put it back, or ${installRemedy} again`
      : `${installRemedy} again, with a TensorFlow library for this system`;
    throw unusable(from, reason, remedy, cause);
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}

function unusable(
  { name, version }: TensorflowPackage,
  reason: string,
  remedy: string,
  cause?: unknown,
): ConsiliumError {
  return new ConsiliumError("config-invalid", `${name} ${version} cannot be used: ${reason}`, { remedy, cause });
}

/** A quarter of the bytes travels; TensorFlow.js itself has no uint8. */
function widenOnDevice(
  { binding, backend }: { binding: Binding; backend: NativeBackend },
  bytes: Uint8Array,
  shape: readonly number[],
): Tensor {
  const id = binding.createTensor(shape, binding.TF_UINT8, bytes);
  const attributes = [
    { name: "SrcT", type: binding.TF_ATTR_TYPE, value: binding.TF_UINT8 },
    { name: "DstT", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: "Truncate", type: binding.TF_ATTR_BOOL, value: false },
  ];
  const [output] = binding.executeOp("Cast", attributes, [id], 1);
  binding.deleteTensor(id);
  return backend.createOutputTensor(output!);
}
