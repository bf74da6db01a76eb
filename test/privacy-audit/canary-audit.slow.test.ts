import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { drawPhantoms } from "../../deploy/demo/phantoms.js";
import { type Audit, canaryAudit } from "./canary-audit.js";

const run = {
  ...{ canaries: 64, others: 8, samplingRate: 0.5, steps: 10, noiseMultiplier: 6, delta: 1e-5, seed: 1 },
};

let audit: Audit;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "canary-pictures-"));
  try {
    const pictures = { hospitals: ["north"], trainPerHospital: run.canaries + run.others, testPerHospital: 0, seed: 2 };
    await drawPhantoms({ directory, ...pictures });
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.(png|jpe?g)$/.test(name),
    );
    audit = await canaryAudit(
      run,
      files.map((name) => join(directory, name)),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 300_000);

describe("an auditor who knows all but who took part", () => {
  it("tells members of a private run by no more than its ε allows", () => {
    expect(audit.epsilon).toBeLessThan(1.2);
    expect(audit.advantageAllowed).toBeLessThan(0.55);
    expect(audit.asCharged.advantage).toBeLessThan(audit.advantageAllowed);
    expect(audit.asCharged.leastEpsilon).toBeLessThan(audit.epsilon);
  });

  it("would tell them where the noise is left out: the attack sees what noise hides", () => {
    expect(audit.withoutNoise.advantage).toBeGreaterThan(0.65);
    expect(audit.withoutNoise.advantage).toBeGreaterThan(audit.advantageAllowed);
    expect(audit.withoutNoise.leastEpsilon).toBeGreaterThan(audit.epsilon);
  });
});
