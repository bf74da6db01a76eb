import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadProfile } from "./profile.js";
import { profileFolder, temporaryFolder } from "./test-surroundings.js";

const nowhere = { env: {}, userFolder: "/nowhere" };

describe("loadProfile", () => {
  it("reads the folder that is named", async () => {
    const folder = profileFolder();
    expect(await loadProfile({ option: folder, ...nowhere })).toEqual({
      directory: folder,
      host: "localhost",
      port: 7700,
      federation: "skin",
      serverName: undefined,
      tls: { caPem: "ca.pem", certPem: "cert.pem", keyPem: "key.pem" },
    });
  });

  it("prefers the option to the environment, and the environment to the operator's own", async () => {
    const [first, second] = [profileFolder(), profileFolder()];
    const env = { CONSILIUM_PROFILE: second };
    expect((await loadProfile({ option: first, env, userFolder: "/nowhere" })).directory).toBe(first);
    expect((await loadProfile({ option: undefined, env, userFolder: "/nowhere" })).directory).toBe(second);
  });

  it("finds what `coordinator init` wrote", async () => {
    const home = temporaryFolder();
    const operator = join(home, "credentials", "operator");
    mkdirSync(operator, { recursive: true });
    writeFileSync(join(operator, "profile.yaml"), 'address: "[::1]:7700"\nfederation: skin\n');
    for (const name of ["ca.pem", "cert.pem", "key.pem"]) writeFileSync(join(operator, name), name);
    const profile = await loadProfile({ option: undefined, env: { CONSILIUM_HOME: home }, userFolder: "/nowhere" });
    expect([profile.directory, profile.host, profile.port]).toEqual([operator, "::1", 7700]);
  });

  it.each([
    ["address: localhost\nfederation: skin\n", "profile.yaml:1: address: must be host:port"],
    ["address: localhost:70000\nfederation: skin\n", "profile.yaml:1: address: must be host:port"],
    ["address: localhost:7700\nfederation: skin\nport: 1\n", "profile.yaml:3: unknown key 'port'"],
  ])("refuses %j", async (text, message) => {
    const folder = profileFolder();
    writeFileSync(join(folder, "profile.yaml"), text);
    await expect(loadProfile({ option: folder, ...nowhere })).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining(message),
    });
  });

  it("names the file that is missing", async () => {
    const folder = profileFolder();
    rmSync(join(folder, "key.pem"));
    await expect(loadProfile({ option: folder, ...nowhere })).rejects.toMatchObject({
      code: "config-missing",
      message: expect.stringContaining("key.pem"),
      remedy: expect.stringContaining("copy it whole"),
    });
  });
});
