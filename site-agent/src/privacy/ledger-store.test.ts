import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type LedgerEntry, spent } from "@consilium/shared/privacy/ledger.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LedgerStore } from "./ledger-store.js";

let root: string;
let homes = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "ledger-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const here = fileURLToPath(new URL(".", import.meta.url));
const repository = resolve(here, "../../..");

/** A program that runs the sources instead of what was built of them. */
function sourcePaths(): string {
  const path = join(root, "tsconfig.json");
  const paths = { "@consilium/shared/*.js": [join(repository, "shared/src/*.ts")] };
  writeFileSync(path, JSON.stringify({ compilerOptions: { paths, module: "nodenext", target: "es2022" } }));
  return path;
}

const budget = { epsilon: 8, delta: 1e-6 };
const entry = (id: string): LedgerEntry => ({
  ...{ id, mechanism: "sampled-gaussian", noiseMultiplier: 1, samplingRate: 0.01, steps: 50, orderGrid: 1 },
});
const folder = () => join(root, `${homes++}`);

describe("LedgerStore", () => {
  it("begins with nothing and keeps what is charged", () => {
    const directory = folder();
    expect(spent(new LedgerStore(directory).read("images", budget)).epsilon).toBe(0);
    new LedgerStore(directory).charge(new LedgerStore(directory).read("images", budget), entry("run/1/0"));
    expect(new LedgerStore(directory).read("images", budget).entries).toEqual([entry("run/1/0")]);
    expect(new LedgerStore(directory).read("other", budget).entries).toEqual([]);
    expect(new LedgerStore(directory).all()).toHaveLength(1);
  });

  it("keeps the history when the budget changes, and refuses over the smaller one", () => {
    const store = new LedgerStore(folder());
    store.charge(store.read("images", budget), entry("run/1/0"));
    const smaller = store.read("images", { ...budget, epsilon: 0.1 });
    expect(smaller.entries).toHaveLength(1);
    expect(() => store.charge(smaller, entry("run/2/0"))).toThrow(/over the budget of 0\.1/);
    expect(store.read("images", budget).entries).toHaveLength(1);
  });

  it("does not take a damaged ledger for an empty one", () => {
    const directory = folder();
    const store = new LedgerStore(directory);
    store.charge(store.read("images", budget), entry("run/1/0"));
    writeFileSync(join(directory, "images.json"), "{}");
    expect(() => store.read("images", budget)).toThrow(/damaged/);
  });

  it("survives kill -9: what was said to be charged is there", async () => {
    const directory = folder();
    const child = spawn(process.execPath, ["--import", "tsx", join(here, "test-charging-child.ts"), directory], {
      cwd: repository,
      env: { ...process.env, TSX_TSCONFIG_PATH: sourcePaths() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told = 0;
    child.stdout.on("data", (said: Buffer) => {
      told = Number(said.toString().trimEnd().split("\n").at(-1));
      if (told >= 20) child.kill("SIGKILL");
    });
    const [, signal] = await once(child, "exit");
    expect(signal).toBe("SIGKILL");
    const ids = new Set(new LedgerStore(directory).read("images", budget).entries.map(({ id }) => id));
    for (let round = 1; round <= told; round++) expect(ids).toContain(`run/${round}/0`);
    expect(readdirSync(directory).filter((name) => name.endsWith(".json"))).toEqual(["images.json"]);
  });
});
