import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { describe, expect, it } from "vitest";
import { loadPolicy, policySchema } from "./policy.js";

describe("a policy file", () => {
  const text = (extra: string) => `version: 1
federation: demo
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
    expect(policy.jobs).toMatchObject({ maxRounds: 10, approval: "automatic" });
    expect(policy.egress).toEqual({ lanes: ["weight"], statistics: "deny", minCell: 10 });
  });

  it("with an unknown key is refused with the line", () => {
    expect(() => parseYaml(text("  hours: night\n"), policySchema, "policy.yaml")).toThrow(
      "policy.yaml:13: unknown key 'jobs.hours'",
    );
  });

  it("that says nothing about a limit is refused, since nothing has a default", () => {
    expect(() => parseYaml(text("").replace("  maxRounds: 10\n", ""), policySchema, "policy.yaml")).toThrow(
      /jobs.maxRounds/,
    );
  });

  it("that is missing is an error", () => {
    expect(() => loadPolicy("/nonexistent/policy.yaml")).toThrow(/cannot be read/);
  });
});
