import { join } from "node:path";
import type { tensorflowPackages } from "../devices/tensorflow-package.js";
import type { Command } from "./commands.js";
import type { TensorflowLibrary } from "./tensorflow-library.js";

/** Releases of the package are rare; this one is tested with its kernels. */
const packageVersion = "4.22.0";

const installNpm = "install npm, which comes with Node";

export type TensorflowPackageName = (typeof tensorflowPackages)[number];

/** Where the native part comes from. */
export type NativeSource =
  | { readonly from: "library"; readonly library: TensorflowLibrary; readonly nodeHeaders: string }
  | { readonly from: "download" };

export interface TensorflowPlanRequest {
  /** Folder of this engine alone, made when absent. */
  readonly engineDirectory: string;
  readonly packageName: TensorflowPackageName;
  /** This program's own TensorFlow.js and its core, which the package is to share. */
  readonly tfjs: { readonly union: string; readonly core: string };
  readonly source: NativeSource;
}

export interface TensorflowPlan {
  /** Content of package.json in the engine's folder. */
  readonly manifest: object;
  readonly directory: string;
  readonly steps: readonly PlanStep[];
}

export interface PlanStep {
  /** What it is for, as the beginning of a sentence. */
  readonly title: string;
  /** Made before it is run. */
  readonly folder?: string;
  readonly command: Command;
  readonly failure: StepFailure;
}

export interface StepFailure {
  readonly code: "unreachable" | "config-invalid";
  readonly remedy: string;
  /** Where the step's program is not installed. */
  readonly missing: string;
}

/** Everything that an installation does, before anything is done. */
export function tensorflowPlan(request: TensorflowPlanRequest): TensorflowPlan {
  const { engineDirectory: directory, source } = request;
  return {
    manifest: manifestFor(request),
    directory,
    steps: [fetchPackage(directory), source.from === "library" ? build(request, source) : download(request)],
  };
}

/** Links instead of copies of TensorFlow.js: two copies in a process would register their gradients over each other's. */
function manifestFor({ packageName, tfjs, source }: TensorflowPlanRequest): object {
  return {
    private: true,
    description: "native TensorFlow for the site agent",
    dependencies: {
      "@tensorflow/tfjs": `file:${tfjs.union}`,
      "@tensorflow/tfjs-core": `file:${tfjs.core}`,
      [packageName]: packageVersion,
    },
    overrides: { "@tensorflow/tfjs": "$@tensorflow/tfjs", "@tensorflow/tfjs-core": "$@tensorflow/tfjs-core" },
    allowScripts: { [packageName]: source.from === "download" },
  };
}

function fetchPackage(directory: string): PlanStep {
  return {
    title: "fetch the package from the npm registry, without its native part (9 MB)",
    command: {
      file: "npm",
      parameters: ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
      directory,
    },
    failure: {
      code: "unreachable",
      missing: installNpm,
      remedy: "see that this machine reaches an npm registry (npm config get registry)",
    },
  };
}

function build(
  { engineDirectory, packageName }: TensorflowPlanRequest,
  { library, nodeHeaders }: Extract<NativeSource, { from: "library" }>,
): PlanStep {
  const directory = join(engineDirectory, "node_modules", packageName);
  const folder = join(directory, "lib", "napi-v8");
  const sources = ["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join("binding", file));
  const headers = [nodeHeaders, library.include, "binding", ".."].map((path) => `-I${path}`);
  const linked = library.files.map((file) => join(library.libraries, file));
  const options = ["-DNAPI_VERSION=8", "-std=c++17", "-O2", "-fPIC", "-shared", ...headers];
  const rpath = `-Wl,-rpath,${library.libraries}`;
  return {
    title: "build the native part with the TensorFlow library (under a minute)",
    folder,
    command: {
      file: "g++",
      parameters: [...options, ...sources, ...linked, rpath, "-o", join(folder, "tfjs_binding.node")],
      directory,
    },
    failure: {
      code: "config-invalid",
      missing: "install a C++ compiler (Debian: apt-get install g++)",
      remedy: "see that the library is for this system and comes with its own headers",
    },
  };
}

function download({ engineDirectory: directory, packageName }: TensorflowPlanRequest): PlanStep {
  return {
    title: "run the package's own install script, which downloads TensorFlow 2.9.1 and a native part for it",
    command: {
      file: "npm",
      parameters: ["rebuild", packageName, "--foreground-scripts", "--loglevel=error"],
      directory,
    },
    failure: {
      code: "unreachable",
      missing: installNpm,
      remedy:
        "the script needs storage.googleapis.com, or a mirror named in TFJS_NODE_CDN_STORAGE; " +
        "where neither is reachable, name a TensorFlow library with --library",
    },
  };
}
