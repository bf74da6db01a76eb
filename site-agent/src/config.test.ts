import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadYaml, parseYaml } from "@consilium/shared/config/load-yaml.js";
import { describe, expect, it } from "vitest";
import { dataSettings, policyPath, scheduleHours, siteConfigSchema } from "./config.js";
import { siteHome } from "./home.js";
import { policySchema } from "./policy.js";
import { policyTemplate, siteTemplate } from "./templates.js";

const sample = (name: string) => fileURLToPath(new URL(`../../deploy/config/${name}`, import.meta.url));
const parse = (text: string) => parseYaml(text, siteConfigSchema, "site.yaml");

describe("site.yaml", () => {
  it("ships as a sample that parses, as does policy.yaml", () => {
    expect(loadYaml(sample("site.yaml"), siteConfigSchema).metrics.port).toBe(9465);
    expect(loadYaml(sample("policy.yaml"), policySchema).version).toBe(1);
  });

  it("is written by join as the samples say", () => {
    expect(siteTemplate()).toBe(readFileSync(sample("site.yaml"), "utf8"));
    expect(policyTemplate("demo")).toBe(readFileSync(sample("policy.yaml"), "utf8"));
  });

  it("quotes a folder's name where YAML would read something else", () => {
    const folder = "/srv/images: ward #3";
    expect(parse(siteTemplate(folder)).data.path).toBe(folder);
  });

  it("needs no more than the folder of images", () => {
    const config = parse("data: { source: folder, path: images }\n");
    expect(config.schedule.hours).toBe("always");
    expect(config.reconnect).toEqual({ initialMs: 1000, maxMs: 15_000 });
    expect(scheduleHours(config)).toBe("always");
  });

  it("has paths below the home unless they are absolute", () => {
    const home = siteHome("/srv/agent");
    const config = parse("data: { source: folder, path: images, labels: all.csv, cacheMiB: 2 }\n");
    expect(policyPath(home, config)).toBe("/srv/agent/policy.yaml");
    expect(dataSettings(home, config)).toMatchObject({
      path: "/srv/agent/images",
      labels: "/srv/agent/images/all.csv",
      cacheBytes: 2 * 1024 ** 2,
    });
  });

  it("names unknown keys and bad values with their lines", () => {
    const text =
      "data:\n  source: folder\n  path: images\n  colour: red\nschedule:\n  hours: nights\ntrainer: { threads: -1 }\n";
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "config-invalid",
        message: expect.stringMatching(
          /site.yaml:4: unknown key 'data.colour'\nsite.yaml:6: .*nights.*\nsite.yaml:7: .*threads/,
        ),
      }),
    );
  });

  it("keeps metrics on the machine unless told otherwise", () => {
    const text = (extra: string) => `data: { source: folder, path: images }\nmetrics: { host: 0.0.0.0${extra} }\n`;
    expect(() => parse(text(""))).toThrow(/site.yaml:2: .*0\.0\.0\.0 is reachable from other machines/);
    expect(parse(text(", allowRemote: true")).metrics.host).toBe("0.0.0.0");
  });
});
