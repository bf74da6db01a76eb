import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { describe, expect, it } from "vitest";
import { findingLines } from "./doctor-view.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";

async function doctor(...options: string[]) {
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const home = mkdtempSync(join(tmpdir(), "doctor-cli-"));
  const code = await runCommandLine(["doctor", "--home", home, ...options], {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), env: {}, userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(0), signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
  });
  return { code, ...written };
}

describe("consilium-agent doctor", () => {
  it("ends with 6 and the remedy where no site has joined", async () => {
    const { code, stdout, stderr } = await doctor();
    expect(code).toBe(6);
    expect(stdout).toMatch(/^CHECK +FOUND +DETAIL\nenrolment +FAILED +.*has not joined[^\n]*\n\n {2}→ enrolment: run /);
    expect(stderr).toContain("this site cannot take part: enrolment");
  });

  it("prints one document as JSON", async () => {
    const { stdout } = await doctor("--json");
    expect(JSON.parse(stdout)).toMatchObject({ passed: false, checks: [{ name: "enrolment", level: "failed" }] });
  });
});

describe("findingLines", () => {
  it("shows no remedies where there are none", () => {
    expect(findingLines([{ name: "disk", level: "ok", message: "9 GiB free" }])).toHaveLength(2);
  });
});
