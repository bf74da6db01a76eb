import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { coordinatorConfigSchema } from "@consilium/coordinator/config.js";
import { initCoordinator } from "@consilium/coordinator/init.js";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { methodNames } from "@consilium/shared/config/method-config.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { exitCodeFor, exitCodes } from "@consilium/shared/terminal/output.js";
import { siteConfigSchema } from "@consilium/site-agent/config.js";
import { policySchema } from "@consilium/site-agent/policy.js";
import { createMethod } from "@consilium/site-agent/ssl/methods.js";
import { describe, expect, it } from "vitest";
import { z } from "zod";

/** What people copy and read must be true of the program: sample files, and what the documentation names. */

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const schemas: Readonly<Record<string, z.ZodType>> = {
  "coordinator.yaml": coordinatorConfigSchema,
  "policy.yaml": policySchema,
  "site.yaml": siteConfigSchema,
  "run-simclr.yaml": runConfigSchema,
  "run-mae.yaml": runConfigSchema,
  "run-clusters.yaml": runConfigSchema,
};

describe("deploy/config", () => {
  it("has a schema for each file", () => {
    expect(readdirSync(join(root, "deploy/config")).sort()).toEqual(Object.keys(schemas).sort());
  });

  it.each(Object.entries(schemas))("%s fits its schema", (name, schema) => {
    expect(() => loadYaml(join(root, "deploy/config", name), schema)).not.toThrow();
  });

  it.each(["run-simclr.yaml", "run-mae.yaml", "run-clusters.yaml"])("%s describes what can be laid out", (name) => {
    const config = loadYaml(join(root, "deploy/config", name), runConfigSchema);
    expect(parameterLayout(config).dimension).toBeGreaterThan(0);
  });

  it("shows the coordinator.yaml that init writes", { timeout: 60_000 }, async () => {
    const home = mkdtempSync(join(tmpdir(), "consilium-sample-"));
    try {
      await initCoordinator({ home, federation: "demo", host: "coordinator.example.org" });
      const withoutTitle = (text: string) => text.split("\n").slice(1);
      const written = readFileSync(join(home, "coordinator.yaml"), "utf8");
      expect(withoutTitle(read("deploy/config/coordinator.yaml"))).toEqual(withoutTitle(written));
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});

const recipes = readdirSync(join(root, "deploy/recipes")).filter((name) => name.endsWith(".yaml"));

const isTwin = (name: string): boolean => name.endsWith("-cpu.yaml");

describe("deploy/recipes", () => {
  it("has one for every method but SiT, with a twin for processors beside each", () => {
    const methods = recipes.map((name) => loadYaml(join(root, "deploy/recipes", name), runConfigSchema).method.name);
    expect([...new Set(methods)].sort()).toEqual(methodNames.filter((name) => name !== "sit").toSorted());
    const kinds = (names: string[]) => new Set(names.map((name) => name.split("-").slice(0, 2).join("-")));
    expect(kinds(recipes.filter(isTwin))).toEqual(kinds(recipes));
  });

  it.each(recipes)("%s describes a method on a model that a coordinator can begin", (name) => {
    const config = loadYaml(join(root, "deploy/recipes", name), runConfigSchema);
    const trained = parameterLayout(config).dimension;
    expect(checkpointLayout(config).dimension).toBeGreaterThanOrEqual(trained);
    const method = createMethod(config);
    expect(method.views.length).toBeGreaterThan(0);
    for (const scalar of Object.values(method.scalars ?? {})) expect(Number.isFinite(scalar(0))).toBe(true);
  });
});

const jsonSchema: z.ZodType<JsonSchema> = z.lazy(() =>
  z.looseObject({
    properties: z.record(z.string(), jsonSchema).optional(),
    anyOf: z.array(jsonSchema).optional(),
    oneOf: z.array(jsonSchema).optional(),
  }),
);
interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>> | undefined;
  readonly anyOf?: readonly JsonSchema[] | undefined;
  readonly oneOf?: readonly JsonSchema[] | undefined;
}

/** Paths of every key that has a value of its own, such as "model.imageSize". */
function keysOf(schema: JsonSchema, path = ""): string[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    keysOf(value, path === "" ? key : `${path}.${key}`),
  );
  const variants = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((variant) => keysOf(variant, path));
  const all = [...inner, ...variants];
  return all.length === 0 ? [path] : [...new Set(all)];
}

const keysOfZod = (schema: z.ZodType): string[] => keysOf(jsonSchema.parse(z.toJSONSchema(schema, { io: "input" })));

/** In full, or by its last two parts where a table row is about their parent. */
function isNamed(key: string, text: string): boolean {
  return [key, key.split(".").slice(-2).join(".")].some((name) => text.includes(`\`${name}\``));
}

describe("documentation", () => {
  it.each([
    ["docs/run.md and docs/privacy.md", runConfigSchema],
    ["docs/site.md and docs/data.md", siteConfigSchema],
    ["docs/site.md and docs/privacy.md", policySchema],
    ["docs/operator.md", coordinatorConfigSchema],
  ] as const)("%s names every key", (path, schema) => {
    const text = path.split(" and ").map(read).join("\n");
    const keys = keysOfZod(schema);
    expect(keys.length).toBeGreaterThan(5);
    expect(keys.filter((key) => !isNamed(key, text))).toEqual([]);
  });

  it("names every metric", () => {
    const text = read("docs/operator.md");
    const names = metricNames();
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it.each(["docs/run.md", "docs/site.md", "docs/operator.md"])("%s lists the exit codes that commands have", (path) => {
    const rows = [...section(read(path), "## Exit codes").matchAll(/^\| (\d+) \| (.+) \|$/gm)];
    const meaningOf = new Map(rows.map(([, code, meaning]) => [Number(code), meaning!]));
    expect([...meaningOf.keys()]).toEqual(Object.values(exitCodes));
    for (const [code, words] of documentedCodes) {
      expect(meaningOf.get(exitCodeFor(new ConsiliumError(code, ""))), code).toMatch(words);
    }
  });

  it("links to files and headings that exist", () => {
    const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];
    expect(pages.flatMap((page) => brokenLinks(page))).toEqual([]);
  });
});

const documentedCodes: readonly (readonly [ErrorCode, RegExp])[] = [
  ["internal", /internal error/],
  ["storage", /storage/],
  ["digest-mismatch", /damaged download/],
  ["config-invalid", /wrong usage/],
  ["certificate-refused", /certificate/],
  ["not-found", /not found|no such/],
  ["unreachable", /coordinator unreachable/],
];

function metricNames(): string[] {
  const sources = ["coordinator/src/metrics.ts", "site-agent/src/metrics.ts"].map(read).join("\n");
  return [...sources.matchAll(/name: "(consilium_[a-z_]+)"/g)].map(([, name]) => name!);
}

function section(text: string, heading: string): string {
  const [, after = ""] = text.split(`\n${heading}\n`);
  return after.split(/\n## /)[0]!;
}

function brokenLinks(page: string): string[] {
  const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return targets
    .filter((target) => !/^https?:/.test(target) && !linkWorks(page, target))
    .map((target) => `${page}: ${target}`);
}

function linkWorks(page: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? page : relative(root, join(root, dirname(page), path));
  if (!existsSync(join(root, file))) return false;
  return anchor === undefined || anchorsOf(read(file)).includes(anchor);
}

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => slug(title!));
}

/** As Git hosts make anchors of headings. */
const slug = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;

describe("deploy/prometheus", () => {
  it("asks for metrics that exist", () => {
    const asked = [...read("deploy/prometheus/rules.yml").matchAll(/consilium_[a-z]+_[a-z_]+/g)].map(([name]) => name);
    expect(asked.filter((name) => !metricNames().includes(name))).toEqual([]);
  });

  it.each([
    ["config", "deploy/prometheus/prometheus.yml"],
    ["rules", "deploy/prometheus/rules.yml"],
  ])("promtool check %s", (kind, path) => {
    if (!hasPromtool) {
      process.stderr.write(`promtool is not installed; ${path} is not checked with it\n`);
      return;
    }
    const { status, stdout, stderr } = spawnSync("promtool", ["check", kind, path], { cwd: root, encoding: "utf8" });
    expect(status, stdout + stderr).toBe(0);
  });
});
