import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { describe, expect, it } from "vitest";
import { loadPolicy, policySchema } from "./policy.js";

describe("a policy file", () => {
  const keys = ["11", "22"].map((byte) => `ed25519:${byte.repeat(32)}`);
  const text = (extra: string) => `version: 1
federation: demo
governance: { keys: [${keys.join(", ")}], threshold: 2 }
secagg: { minCohort: 3, maxColluders: 0 }
jobs:
  methods: [simclr]
  architectures: [vit-nano]
  modalities: [dermatology]
  maxRounds: 10
  maxStepsPerRound: 10
  maxBatchSize: 64
  maxParameters: 1000000
  minLocalSamples: 1
${extra}egress: { lanes: [weight] }
`;

  it("is read", () => {
    const policy = parseYaml(text(""), policySchema, "policy.yaml");
    expect(policy.jobs).toMatchObject({
      maxRounds: 10,
      minStepsPerRound: 20,
      maxRunsPerDataset: 3,
      approval: "manual",
      researchers: "everyone",
    });
    expect(policy.governance).toEqual({ keys, threshold: 2, additions: "approve" });
    expect(policy.egress).toEqual({ lanes: ["weight"], statistics: "deny", minCell: 10 });
  });

  it("with an unknown key is refused with the line", () => {
    expect(() => parseYaml(text("  hours: night\n"), policySchema, "policy.yaml")).toThrow(
      "policy.yaml:14: unknown key 'jobs.hours'",
    );
  });

  it("that says nothing about a limit is refused, since nothing has a default", () => {
    expect(() => parseYaml(text("").replace("  maxRounds: 10\n", ""), policySchema, "policy.yaml")).toThrow(
      /jobs.maxRounds/,
    );
  });

  it("without governance is refused, and told what to write", () => {
    const without = text("").replace(/governance: .*\n/, "");
    expect(() => parseYaml(without, policySchema, "policy.yaml")).toThrow(
      expect.objectContaining({
        code: "config-invalid",
        message: expect.stringMatching(
          /governance: is missing; write governance: \{ keys: \[ed25519:…\], threshold: 2 \}/,
        ),
      }),
    );
  });

  it.each([
    ["keys: [ed25519:00], threshold: 1", /public key such as/],
    [`keys: [${keys[0]}, ${keys[0]}], threshold: 1`, /a key twice/],
    [`keys: [${keys[0]}], threshold: 2`, /at most 1/],
    ["keys: [], threshold: 0", /threshold/],
  ])("with governance { %s } is refused", (governance, reason) => {
    const changed = text("").replace(/governance: .*\n/, `governance: { ${governance} }\n`);
    expect(() => parseYaml(changed, policySchema, "policy.yaml")).toThrow(reason);
  });

  it("that requires more peers than it names is refused", () => {
    const changed = text("").replace("maxColluders: 0", "maxColluders: 0, requiredPeers: { atLeast: 2, of: [a] }");
    expect(() => parseYaml(changed, policySchema, "policy.yaml")).toThrow(/as many sites as it asks for/);
  });

  it("that is missing is an error", () => {
    expect(() => loadPolicy("/nonexistent/policy.yaml")).toThrow(/cannot be read/);
  });
});
