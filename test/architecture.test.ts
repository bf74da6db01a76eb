import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findCycles } from "./support/cycles.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const packages = ["shared", "coordinator", "site-agent"] as const;

interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

function walk(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (name === "gen" || name === "dist" || name === "node_modules") return [];
    return statSync(path).isDirectory() ? walk(path) : path.endsWith(".ts") ? [path] : [];
  });
}

/** Import and export-from statements, with those erased by the compiler marked. */
function importsOf(text: string, path: string): SourceFile["imports"] {
  const pattern =
    /^(?:import|export)\s+(type\s+)?([^;"']*?)\s*from\s*["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/gms;
  return [...text.matchAll(pattern)].map((match) => {
    const clause = match[2] ?? "";
    const named = /^\{([^}]*)\}$/s.exec(clause.trim());
    const names = named?.[1]?.split(",").map((part) => part.trim());
    const allTypes = names?.every((name) => name === "" || name.startsWith("type ")) ?? false;
    return { target: resolveImport(match[3] ?? match[4]!, path), typeOnly: match[1] !== undefined || allTypes };
  });
}

function resolveImport(specifier: string, from: string): string {
  const workspace = /^@consilium\/(shared|coordinator|site-agent)\/(.*)\.js$/.exec(specifier);
  if (workspace !== null) return `${workspace[1]}/src/${workspace[2]}.ts`;
  if (specifier.startsWith(".")) return join(dirname(from), specifier).replace(/\.js$/, ".ts");
  return specifier;
}

const files: SourceFile[] = packages
  .flatMap((name) => walk(join(root, name, "src")))
  .map((absolute) => {
    const path = relative(root, absolute);
    const text = readFileSync(absolute, "utf8");
    return { path, text, imports: importsOf(text, path) };
  });
const sources = files.filter((file) => !file.path.endsWith(".test.ts"));

/** Every import, as "file -> target", that a rule forbids. */
function violations(forbids: (file: string, target: string, typeOnly: boolean) => boolean): string[] {
  return sources.flatMap((file) =>
    file.imports
      .filter(({ target, typeOnly }) => forbids(file.path, target, typeOnly))
      .map(({ target }) => `${file.path} -> ${target}`),
  );
}

/** `library` may be imported only by files whose path begins with one of `homes`. */
function confined(library: RegExp, homes: readonly string[]): string[] {
  return violations((file, target) => library.test(target) && !homes.some((home) => file.startsWith(home)));
}

describe("who may import whom", () => {
  it("keeps the two processes and the shared code apart", () => {
    expect(
      violations((file, target) => {
        const from = file.split("/")[0]!;
        const to = target.split("/")[0]!;
        return packages.some((name) => name === to) && from !== to && to !== "shared";
      }),
    ).toEqual([]);
  });

  it("keeps each framework behind its door", () => {
    const agent = "site-agent/src";
    expect(
      confined(
        /^@tensorflow\//,
        ["model", "ssl", "engine", "eval"].map((part) => `${agent}/${part}/`),
      ),
    ).toEqual([]);
    expect(confined(/^onnxruntime-/, [`${agent}/engine/`])).toEqual([]);
    expect(confined(/^sharp$/, [`${agent}/data/`])).toEqual([]);
    expect(
      confined(
        /^@grpc\//,
        packages.map((name) => `${name}/src/rpc/`),
      ),
    ).toEqual([]);
    expect(
      confined(
        /rpc\/gen\//,
        packages.map((name) => `${name}/src/rpc/`),
      ),
    ).toEqual([]);
    expect(confined(/^node-forge$/, ["shared/src/identity/"])).toEqual([]);
    const databases = ["coordinator/src/store/", `${agent}/data/index/`, `${agent}/audit/write-lock.ts`];
    expect(confined(/^better-sqlite3$|^kysely$/, databases)).toEqual([]);
    expect(
      confined(/^prom-client$/, ["shared/src/telemetry.ts", "coordinator/src/metrics.ts", `${agent}/metrics.ts`]),
    ).toEqual([]);
  });

  /** Layers from the lowest up; a file may import from its own layer's folder and from lower layers. */
  const layers: Readonly<Record<string, readonly (readonly string[])[]>> = {
    coordinator: [
      ["certificates", "people", "sites", "secagg", "aggregate", "checkpoint", "store"],
      ["round"],
      ["rpc"],
      ["cli"],
    ],
    "site-agent": [
      ["audit", "data", "model"],
      ["ssl"],
      ["engine"],
      ["update", "secagg", "eval"],
      ["trainer", "governance", "privacy"],
      ["chain", "approvals"],
      ["round"],
      ["rpc"],
      ["doctor"],
      ["cli"],
    ],
  };

  it("knows the layer of every folder of both processes", () => {
    const unknown = sources.flatMap(({ path }) => {
      const [name, , folder, ...rest] = path.split("/");
      return rest.length > 0 && layers[name!]?.flat().includes(folder!) === false ? [`${name}/${folder}`] : [];
    });
    expect([...new Set(unknown)]).toEqual([]);
  });

  it("lets dependencies point one way inside each process", () => {
    const rank = (path: string): number | undefined => {
      const [name, , folder, ...rest] = path.split("/");
      if (rest.length === 0) return undefined;
      const level = layers[name!]?.findIndex((layer) => layer.includes(folder!));
      return level === -1 ? undefined : level;
    };
    expect(
      violations((file, target, typeOnly) => {
        const from = rank(file);
        const to = rank(target);
        return !typeOnly && from !== undefined && to !== undefined && to > from;
      }),
    ).toEqual([]);
  });

  it("has no cycle among imports that survive compilation", () => {
    const graph = new Map(
      sources.map((file) => [file.path, file.imports.filter((entry) => !entry.typeOnly).map((entry) => entry.target)]),
    );
    expect(findCycles(graph)).toEqual([]);
  });

  it("reads the environment and ends the process only where a process begins", () => {
    const homes = /(^|\/)(main|failpoint|[a-z-]+-main)\.ts$/;
    const found = sources.filter(
      (file) =>
        !homes.test(file.path) && /process\.(env|exit|on)\b/.test(file.text.replace(/\/\*.*?\*\/|\/\/.*$/gms, "")),
    );
    expect(found.map((file) => file.path)).toEqual([]);
  });
});

describe("how files are kept", () => {
  it("has no file over 400 lines, and half of them under 100", () => {
    const lengths = sources.map((file) => ({ path: file.path, lines: file.text.split("\n").length }));
    const testLengths = files.map((file) => ({ path: file.path, lines: file.text.split("\n").length }));
    expect(testLengths.filter((file) => file.lines > 400)).toEqual([]);
    const sorted = lengths.map((file) => file.lines).sort((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(100);
  });

  it("gives no type safety away", () => {
    const pattern = /(:\s*|<|as\s+)any\b|as\s+unknown\s+as|@ts-(ignore|expect-error|nocheck)/;
    const found = files.flatMap((file) =>
      file.text.split("\n").flatMap((line, index) => {
        const code = line.replace(/^\s*(\*|\/\*|\/\/).*$/, "").replace(/(["'`]).*?\1/g, "");
        return pattern.test(code) ? [`${file.path}:${index + 1}`] : [];
      }),
    );
    expect(found).toEqual([]);
  });

  it("names files in kebab-case and exports only by name", () => {
    expect(
      files.map((file) => file.path).filter((path) => !/^[a-z0-9/-]+(\.[a-z]+)?(\.test)?\.ts$/.test(path)),
    ).toEqual([]);
    expect(files.filter((file) => /^export default/m.test(file.text)).map((file) => file.path)).toEqual([]);
  });
});
