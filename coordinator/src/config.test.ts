import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { describe, expect, it } from "vitest";
import { coordinatorConfigSchema, loadCoordinatorConfig } from "./config.js";

const parse = (text: string) => parseYaml(text, coordinatorConfigSchema, "coordinator.yaml");

const dayMs = 86_400_000;

describe("coordinator.yaml", () => {
  it("has a default for everything but the names", () => {
    expect(parse("federation: demo\npublicHost: fl.example.org\nlisten: {}")).toEqual({
      federation: "demo",
      publicHost: "fl.example.org",
      listen: { host: "0.0.0.0", port: 7700, enrolPort: 7701 },
      metrics: { host: "127.0.0.1", port: 7790 },
      certificates: { sites: 30 * dayMs, coordinator: 30 * dayMs, people: 30 * dayMs, revocationList: dayMs },
      retention: { checkpoints: "all", aggregates: "all" },
    });
  });

  it("names the line of an unknown key and of a wrong value", () => {
    expect(() => parse("federation: Demo\npublicHost: h\nlisten:\n  prot: 1\n")).toThrow(
      /coordinator\.yaml:1: federation: .*\ncoordinator\.yaml:4: unknown key 'listen\.prot'/,
    );
  });

  it("is missed in a folder that is no home, by the name of what makes one", () => {
    expect(() => loadCoordinatorConfig("/nowhere")).toThrow(
      expect.objectContaining({ code: "config-missing", remedy: expect.stringContaining("coordinator init") }),
    );
  });
});
