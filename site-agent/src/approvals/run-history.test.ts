import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunHistory } from "./run-history.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "run-history-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const run = (runId: string, runConfigJson = "{}") => ({ runId, runConfigJson });
const history = (dataSet = "images") => new RunHistory(join(directory, "runs"), dataSet);

describe("RunHistory", () => {
  it("counts each run once, also over restarts, and each set of images by itself", () => {
    expect(history().placeOf(run("a"))).toBe(1);
    for (const id of ["a", "b", "a"]) history().count(run(id));
    expect(["a", "b", "c"].map((id) => history().placeOf(run(id)))).toEqual([1, 2, 3]);
    expect(history().placeOf(undefined)).toBe(3);
    expect(history("others").placeOf(run("a"))).toBe(1);
  });

  it("knows a run by the configuration that was accepted first", () => {
    history().requireSame(run("a"));
    history().count(run("a"));
    history().requireSame(run("a"));
    history().requireSame(run("b", '{"seed":2}'));
    const changed = expect.objectContaining({ code: "plan-invalid", message: expect.stringContaining("run a has") });
    expect(() => history().requireSame(run("a", '{"seed":2}'))).toThrow(changed);
  });

  it("that is damaged is not an empty one", () => {
    history().count(run("a"));
    writeFileSync(join(directory, "runs", "images.json"), '{"version":1');
    const damaged = expect.objectContaining({ code: "storage", remedy: expect.stringMatching(/backup/) });
    expect(() => history().placeOf(run("a"))).toThrow(damaged);
    expect(() => history().count(run("b"))).toThrow(damaged);
  });

  it("that cannot be written says where", () => {
    writeFileSync(join(directory, "runs"), "a file where the folder should be");
    expect(() => history().count(run("a"))).toThrow(expect.objectContaining({ code: "storage" }));
  });
});
