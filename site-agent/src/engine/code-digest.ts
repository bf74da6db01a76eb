import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Beside this folder: code that writes programs, and code that decides what becomes of them. */
const ownFolders = ["engine", "model", "ssl", "eval"];
/** Of the shared package: which tensors there are, and how ONNX is written. */
const sharedFolders = ["params", "config", "onnx"];
const libraries = ["onnxruntime-node", "@tensorflow/tfjs", "@tensorflow/tfjs-core"];

const require = createRequire(import.meta.url);
const thisFile = fileURLToPath(import.meta.url);

let known: string | undefined;

/**
 * SHA-256, hex, over the code of this package and the versions of the libraries that decide what a program compiles to.
 * Read once per process: what is loaded does not change. Throws where the code cannot be read.
 */
export function codeDigest(): string {
  known ??= digestCode();
  return known;
}

function digestCode(): string {
  // "dist" in an installed package, "src" where sources run directly.
  const root = dirname(dirname(thisFile));
  const shared = dirname(require.resolve("@consilium/shared/package.json"));
  const sharedRoots = [...new Set(["dist", basename(root)])].map((name) => join(shared, name));
  const folders = [
    ...ownFolders.map((name) => join(root, name)),
    ...sharedRoots.flatMap((path) => sharedFolders.map((name) => join(path, name))),
  ];
  const hash = createHash("sha256");
  for (const folder of folders.filter(existsSync)) hash.update(`${folderDigest(folder)}\n`);
  for (const library of libraries) hash.update(`${library} ${versionOf(library)}\n`);
  return hash.digest("hex");
}

/** SHA-256, hex, over the names and contents of the program files in a folder and below it; tests are passed over. */
export function folderDigest(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isCode(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256");
  for (const path of files) {
    const content = readFileSync(path);
    hash.update(`${relative(folder, path)} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function isCode(name: string): boolean {
  return [".js", ".ts"].includes(extname(name)) && !/\.(?:test|d)\.ts$/.test(name);
}

function versionOf(library: string): string {
  const manifest: unknown = JSON.parse(readFileSync(require.resolve(`${library}/package.json`), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "";
}
