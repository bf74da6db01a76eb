import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { flat, put } from "../data/test-images.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";

let home: string;
const written = { stdout: "", stderr: "" };

const site = (curation = "") => `data:
  path: images
  columns: { group: patient, attributes: [scanner] }
${curation}`;

/** Red, green and blue images of two scanners, sixty in all, and one that cannot be read. */
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "curate-"));
  await writeFile(join(home, "site.yaml"), site());
  const rows = ["file,patient,scanner"];
  for (let index = 0; index < 60; index++) {
    const level = 150 + index;
    const colours = [
      [level, 30, 40],
      [40, level, 30],
      [30, 40, level],
    ] as const;
    await put(join(home, "images"), `secret-${index}.png`, flat(20, 20, colours[index % 3]!).png());
    rows.push(`secret-${index}.png,p${index % 7},${index < 40 ? "old" : "new"}`);
  }
  await put(join(home, "images"), "secret-x.png", "no image");
  await put(join(home, "images"), "labels.csv", [...rows, "secret-x.png,p1,old"].join("\n"));
});
afterEach(() => rm(home, { recursive: true }));

function run(...parameters: string[]): Promise<number> {
  Object.assign(written, { stdout: "", stderr: "" });
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  return runCommandLine(["curate", ...parameters, "--home", home], {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), env: {}, userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(0), signal: new AbortController().signal, version: "1" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
  });
}

describe("curate", () => {
  it("finds clusters, shows them on a page, and says how often each is drawn", async () => {
    expect(await run("cluster", "--count", "3", "--json"), written.stderr).toBe(0);
    const yaml = join(home, "clusters.yaml");
    // Flat images all look alike to a hash of brightness.
    expect(JSON.parse(written.stdout)).toMatchObject({ file: yaml, cells: 3, images: 60 });
    expect(await run("cluster", "--count", "3")).toBe(2);
    expect(written.stderr).toContain("clusters.yaml is there already");

    const html = join(home, "review.html");
    expect(await run("review", "--html", html, "--examples", "5"), written.stderr).toBe(0);
    const page = await readFile(html, "utf8");
    expect(page.match(/20 images, 33\.3 %/g)).toHaveLength(3);
    expect(page.match(/<img /g)).toHaveLength(3 * 2 * 5);
    expect(page).not.toContain("secret");

    const text = (await readFile(yaml, "utf8")).replace("cell-2: kind 2", "cell-2: kind 1");
    await writeFile(yaml, text.replace("clusters: {}", "clusters: { kind 1: { weight: 3 } }"));
    const curation = "  curation: { groupBy: [scanner], exponent: 0, clusters: clusters.yaml, dropCopies: false }\n";
    await writeFile(join(home, "site.yaml"), site(curation));
    expect(await run("show"), written.stderr).toBe(0);
    const lines = written.stdout.split("\n").map((line) => line.replace(/ {2,}/g, " "));
    expect(lines).toContain("cluster images of all weight drawn");
    expect(lines).toContain("kind 0 20 33.3 % 1 25.0 %");
    expect(lines).toContain("kind 1 40 66.7 % 3 75.0 %");
    expect(lines).toContain("old 40 66.7 % 50.0 %");
  });

  it("takes over the cells of a federation", async () => {
    expect(await run("cluster", "--count", "3"), written.stderr).toBe(0);
    const shared = join(home, "shared.yaml");
    const centroids = join(home, "clusters.centroids.json");
    expect(await run("import", centroids, "--file", shared, "--json"), written.stderr).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ file: shared, cells: 3, images: 60 });
    const itemsOf = (stem: string) => readFile(join(home, `${stem}.items.jsonl`), "utf8");
    expect(await itemsOf("shared")).toBe(await itemsOf("clusters"));
    expect(await run("import", centroids, "--file", shared)).toBe(2);
    expect(await run("import", join(home, "site.yaml"), "--file", join(home, "other.yaml"))).toBe(2);
    expect(written.stderr).toContain("site.yaml: is no JSON");
  });

  it("prints a profile for each group", async () => {
    await writeFile(join(home, "site.yaml"), site("  curation: { groupBy: [scanner] }\n"));
    expect(await run("profiles", "--json"), written.stderr).toBe(0);
    const profiles = JSON.parse(written.stdout) as { group: string; images: number; profile: number[] }[];
    expect(Object.fromEntries(profiles.map(({ group, images }) => [group, images]))).toEqual({ old: 40, new: 20 });
    expect(profiles[0]!.profile).toHaveLength(6);
  });

  it("says what is missing, and what to do about it", async () => {
    expect(await run("show")).toBe(2);
    expect(written.stderr).toContain("curate cluster");
    expect(await run("cluster", "--count", "61")).toBe(2);
    expect(written.stderr).toContain("60 patches are too few for 61 clusters");
    expect(existsSync(join(home, "clusters.yaml"))).toBe(false);
    expect(await run("cluster", "--count", "none")).toBe(2);
  });
});
