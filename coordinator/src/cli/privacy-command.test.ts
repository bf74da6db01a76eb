import { describe, expect, it } from "vitest";
import { runCommandLine } from "./program.js";
import { testSurroundings } from "./test-surroundings.js";

async function privacy(...parameters: string[]) {
  const test = testSurroundings();
  const exitCode = await runCommandLine(["privacy", ...parameters], test.surroundings, "1.2.3");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

const plan = ["--epsilon", "8", "--delta", "1e-6", "--patients", "5000", "--batch", "64", "--steps", "3000"];

describe("consilium privacy", () => {
  it("shows the noise of both accounts, the ε of both, and the verdict", async () => {
    const { exitCode, stdout, stderr } = await privacy(...plan);
    expect(exitCode).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatchSnapshot();
  });

  it("gives the same as one JSON document, within the budget by each account", async () => {
    const { stdout } = await privacy(...plan, "--parameters", "100000", "--sites", "4", "--json");
    const document = JSON.parse(stdout);
    const [rdp, pld] = document.plans;
    expect(document).toMatchObject({ epsilon: 8, delta: 1e-6, samplingRate: 0.0128, parameters: 100_000, sites: 4 });
    expect(rdp.epsilonByRdp).toBeLessThanOrEqual(8);
    expect(rdp.epsilonByRdp).toBeGreaterThan(7.99);
    expect(pld.epsilonByPld).toBeLessThanOrEqual(8);
    expect(pld.epsilonByPld).toBeGreaterThan(7.99);
    expect(pld.noiseMultiplier).toBeLessThan(rdp.noiseMultiplier);
    const perStep = (rdp.noiseMultiplier * Math.sqrt(100_000 / 4)) / 64;
    expect(rdp.verdict.noisePerStep).toBeCloseTo(perStep, 10);
    expect(rdp.verdict.kind).toBe("doubtful");
  });

  it.each([
    ["--epsilon", "0"],
    ["--epsilon", ""],
    ["--delta", "1"],
    ["--delta", "1e-12"],
    ["--patients", "0"],
    ["--batch", "1.5"],
    ["--steps", "-1"],
    ["--batch", "6000"],
  ])("%s %s is wrong usage", async (...change) => {
    const { exitCode, stdout, stderr } = await privacy(...plan, ...change);
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toBe("");
  });
});
