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
import type { Admin } from "./rpc/admin-types.js";

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

const smallRun = {
  name: "small",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
  method: { name: "simclr", projectionDim: 8 },
  optimizer: { learningRate: 0.001 },
  rounds: 1,
};

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

  it("lets a researcher change and fetch runs of its own only, an operator all", async () => {
    const [operator, researcher] = [adminAs("operator"), adminAs("researcher")];
    try {
      const configYaml = JSON.stringify(smallRun);
      const theirs = await operator.launchRun({ requestId: "theirs", configYaml });
      const own = await researcher.launchRun({ requestId: "own", configYaml });
      const bytesOf = async (admin: Admin, runId: string) => {
        let bytes = 0;
        const chunks = admin.fetchWeights({ runId, round: 0 }, new AbortController().signal);
        for await (const { data } of chunks) bytes += data.length;
        return bytes;
      };
      const refused = { code: "not-authorised", message: expect.stringContaining(theirs.runId) };
      await expect(researcher.stopRun(theirs.runId)).rejects.toMatchObject(refused);
      await expect(researcher.resumeRun(theirs.runId)).rejects.toMatchObject(refused);
      await expect(bytesOf(researcher, theirs.runId)).rejects.toMatchObject(refused);
      expect((await researcher.getRun(theirs.runId)).summary.status).toBe("running");
      expect(await bytesOf(researcher, own.runId)).toBeGreaterThan(0);
      expect(await researcher.stopRun(own.runId)).toMatchObject({ status: "stopped" });
      expect(await researcher.resumeRun(own.runId)).toMatchObject({ status: "queued" });
      for (const { runId } of [theirs, own]) expect(await operator.stopRun(runId)).toMatchObject({ status: "stopped" });
      expect(await bytesOf(operator, own.runId)).toBeGreaterThan(0);
      await expect(researcher.stopRun("none")).rejects.toMatchObject({ code: "not-found" });
      const text = await (await fetch(`http://127.0.0.1:${coordinator.ports.metrics}/metrics`)).text();
      for (const method of ["StopRun", "ResumeRun", "FetchWeights"]) {
        expect(text).toContain(`rejected_inputs_total{method="AdminService/${method}",code="not-authorised"} 1`);
      }
    } finally {
      operator.close();
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
