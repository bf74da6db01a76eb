import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** TensorFlow.js's packages that run on native TensorFlow, the preferred one first. They differ in what they download. */
export const tensorflowPackages = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;

/** The name that every version of the package gives its native part. */
export const bindingFile = "tfjs_binding.node";

export interface TensorflowPackage {
  readonly name: string;
  readonly version: string;
  readonly directory: string;
  /** Path of the native part; absent until it is built. */
  readonly binding?: string;
}

/** Where `engine install tensorflow` puts what it makes, within an agent's home. */
export function tensorflowDirectory(home: string): string {
  return join(home, "engines", "tensorflow");
}

const ownRequire = createRequire(import.meta.url);

/** Where this program's own TensorFlow.js lies; the package must share it, because gradients are registered with it. */
export function ownTfjsDirectory(): string {
  return dirname(ownRequire.resolve("@tensorflow/tfjs/package.json"));
}

/**
 * The package that would be used: one with its native part before one without, one that `engine install` made before
 * one that lies beside this program.
 * @param engineDirectory what `engine install tensorflow` fills
 */
export function findTensorflowPackage(engineDirectory: string | undefined): TensorflowPackage | undefined {
  const installed = engineDirectory === undefined ? [] : tensorflowPackages.map((name) => at(engineDirectory, name));
  const found = [...installed, ...tensorflowPackages.map(beside)].filter((one) => one !== undefined);
  return found.find(({ binding }) => binding !== undefined) ?? found[0];
}

function at(engineDirectory: string, name: string): TensorflowPackage | undefined {
  return read(join(engineDirectory, "node_modules", ...name.split("/")));
}

function beside(name: string): TensorflowPackage | undefined {
  try {
    return read(dirname(ownRequire.resolve(`${name}/package.json`)));
  } catch {
    return undefined;
  }
}

function read(directory: string): TensorflowPackage | undefined {
  const manifest = manifestOf(directory);
  if (manifest === undefined) return undefined;
  const binding = bindingIn(directory);
  return { ...manifest, directory, ...(binding === undefined ? {} : { binding }) };
}

function manifestOf(directory: string): { name: string; version: string } | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    if (typeof manifest !== "object" || manifest === null) return undefined;
    if (!("name" in manifest) || !("version" in manifest)) return undefined;
    return { name: String(manifest.name), version: String(manifest.version) };
  } catch {
    return undefined;
  }
}

/** Built per version of Node's native interface; each version runs what the lower ones run. */
function bindingIn(directory: string): string | undefined {
  const lib = join(directory, "lib");
  if (!existsSync(lib)) return undefined;
  const usable = readdirSync(lib)
    .map((folder) => Number(/^napi-v(\d+)$/.exec(folder)?.[1]))
    .filter((version) => version <= Number(process.versions["napi"]))
    .sort((a, b) => b - a);
  return usable.map((version) => join(lib, `napi-v${version}`, bindingFile)).find((path) => existsSync(path));
}
