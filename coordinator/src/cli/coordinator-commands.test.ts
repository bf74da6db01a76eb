import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import type { InitOptions } from "../init.js";
import { runCommandLine } from "./program.js";
import type { ServeOptions } from "./surroundings.js";
import { testSurroundings } from "./test-surroundings.js";

describe("consilium coordinator init", () => {
  const asked: InitOptions[] = [];
  const initCoordinator = async (options: InitOptions) => {
    asked.push(options);
    const credentials = `${options.home}/credentials`;
    return {
      home: options.home,
      operatorProfile: `${credentials}/operator`,
      researcherProfile: `${credentials}/researcher`,
    };
  };

  it("passes on what was given and leaves the rest to its defaults", async () => {
    const test = testSurroundings({ initCoordinator });
    const parameters = ["coordinator", "init", "--federation", "skin", "--home", "/h", "--enrol-port", "7701"];
    expect(await runCommandLine(parameters, test.surroundings, "0")).toBe(0);
    expect(asked.at(-1)).toEqual({ federation: "skin", home: "/h", enrolPort: 7701 });
    expect(test.stdout()).toContain("next: consilium coordinator serve --home /h\n");
  });

  it("uses CONSILIUM_HOME", async () => {
    const test = testSurroundings({ initCoordinator, env: { CONSILIUM_HOME: "/from/env" } });
    await runCommandLine(["coordinator", "init", "--federation", "skin", "--json"], test.surroundings, "0");
    expect(asked.at(-1)?.home).toBe("/from/env");
    expect(JSON.parse(test.stdout())).toEqual({
      home: "/from/env",
      operatorProfile: "/from/env/credentials/operator",
      researcherProfile: "/from/env/credentials/researcher",
    });
  });
});

describe("consilium coordinator serve", () => {
  it("says how to make a federation where there is none", async () => {
    const serveCoordinator = () =>
      Promise.reject(new ConsiliumError("config-missing", "/h/coordinator.yaml: cannot be read"));
    const test = testSurroundings({ serveCoordinator });
    expect(await runCommandLine(["coordinator", "serve", "--home", "/h"], test.surroundings, "0")).toBe(2);
    expect(test.stderr()).toContain("make a federation with 'consilium coordinator init'");
  });

  function serving() {
    const stopping = new AbortController();
    const events: string[] = [];
    const serveCoordinator = async ({ home, logLevel }: ServeOptions) => {
      events.push(`started ${home} ${logLevel}`);
      return { ready: { address: "localhost:7700" }, stop: async () => void events.push("stopped") };
    };
    const test = testSurroundings({ serveCoordinator, signal: stopping.signal });
    return { test, stopping, events };
  }

  it("says that it is ready, serves until the signal, and stops", async () => {
    const { test, stopping, events } = serving();
    const exit = runCommandLine(["coordinator", "serve", "--home", "/h"], test.surroundings, "0");
    await expect.poll(test.stdout).toBe("ready: address localhost:7700\n");
    expect(events).toEqual(["started /h info"]);
    stopping.abort();
    expect(await exit).toBe(0);
    expect(events).toEqual(["started /h info", "stopped"]);
  });

  it("has a ready line for scripts", async () => {
    const { test, stopping } = serving();
    stopping.abort();
    await runCommandLine(["coordinator", "serve", "--json"], test.surroundings, "0");
    expect(JSON.parse(test.stdout())).toEqual({ ready: true, address: "localhost:7700" });
  });
});
