import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeInvitation } from "@consilium/shared/identity/invitation.js";
import { silentLogger } from "@consilium/shared/log.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { homePaths } from "./config.js";
import { type Coordinator, startCoordinator } from "./coordinator.js";
import { initCoordinator } from "./init.js";
import { connectAdmin } from "./rpc/admin-client.js";

let home: string;
let coordinator: Coordinator;

beforeAll(async () => {
  home = join(mkdtempSync(join(tmpdir(), "coordinator-")), "home");
  await initCoordinator({ home, federation: "demo", port: 0, enrolPort: 0, metricsPort: 0 });
  coordinator = await startCoordinator({ home, logger: silentLogger });
}, 60_000);

afterAll(async () => {
  await coordinator.stop();
  rmSync(home, { recursive: true, force: true });
});

function adminAs(role: "operator" | "researcher") {
  const read = (name: string) => readFileSync(join(homePaths(home)[role], name), "utf8");
  const tls = { caPem: read("ca.pem"), certPem: read("cert.pem"), keyPem: read("key.pem") };
  return connectAdmin({ host: "localhost", port: coordinator.ports.main, federation: "demo", tls });
}

describe("initCoordinator()", () => {
  it("refuses a directory that holds a federation, and keeps its keys to its owner", async () => {
    await expect(initCoordinator({ home, federation: "demo" })).rejects.toMatchObject({ code: "already-exists" });
    const paths = homePaths(home);
    for (const key of [paths.planKey, join(paths.tls, "key.pem"), join(paths.operator, "key.pem")]) {
      expect(statSync(key).mode & 0o077).toBe(0);
    }
  });

  it("writes nothing for options that cannot be", async () => {
    const other = join(home, "..", "other");
    await expect(initCoordinator({ home: other, federation: "No Good" })).rejects.toMatchObject({
      code: "config-invalid",
    });
    expect(existsSync(other)).toBe(false);
  });
});

describe("startCoordinator()", () => {
  it("refuses a second process in the same home", async () => {
    await expect(startCoordinator({ home, logger: silentLogger })).rejects.toMatchObject({ code: "already-exists" });
  });

  it("lets operators invite, and researchers only look", async () => {
    const [operator, researcher] = [adminAs("operator"), adminAs("researcher")];
    try {
      const { token } = await operator.inviteSite({ siteId: "north", validHours: 1 });
      const { main: port, enrolment: enrolmentPort } = coordinator.ports;
      expect(decodeInvitation(token)).toMatchObject({ federation: "demo", siteId: "north", port, enrolmentPort });
      expect(await researcher.listSites()).toMatchObject([{ siteId: "north", status: "invited" }]);
      const refused = researcher.inviteSite({ siteId: "south", validHours: 1 });
      await expect(refused).rejects.toMatchObject({ code: "not-authorised" });
      expect(await operator.revokeSite("north")).toMatchObject({ status: "revoked" });
      expect(await researcher.listSites()).toEqual([]);
    } finally {
      operator.close();
      researcher.close();
    }
  });

  it("names every wrong line of a run file, and knows no run that is not there", async () => {
    const researcher = adminAs("researcher");
    try {
      const launch = researcher.launchRun({ requestId: "r", configYaml: "name: x\nbogus: 1\n" });
      await expect(launch).rejects.toMatchObject({
        code: "config-invalid",
        message: expect.stringMatching(/:2: unknown/),
      });
      await expect(researcher.getRun("none")).rejects.toMatchObject({ code: "not-found" });
    } finally {
      researcher.close();
    }
  });

  it("serves metrics that have a unit and no site in them", async () => {
    const base = `http://127.0.0.1:${coordinator.ports.metrics}`;
    const text = await (await fetch(`${base}/metrics`)).text();
    const names = [...text.matchAll(/^# TYPE (consilium_\S+)/gm)].map((match) => match[1]);
    expect(names).toMatchSnapshot();
    expect(text).not.toContain("north");
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
  });
});
