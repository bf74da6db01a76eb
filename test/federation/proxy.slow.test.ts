import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands, mustRun, runCommand, until } from "../../deploy/demo/processes.js";
import { type ConnectProxy, startConnectProxy } from "../support/connect-proxy.js";
import { ProxiedFederation } from "../support/proxied-federation.js";

/** Only the proxies can look this name up, so whatever goes past them arrives nowhere. */
const host = "coordinator.invalid";
const names = { [host]: "127.0.0.1" };
const credentials = "agent:hunter2";
const credentialsFile = join(tmpdir(), `consilium-proxy-${process.pid}`);

/** One has its proxy from site.yaml, the others from the environment. */
const sites = ["settings", "variables", "usual"];

describe("a federation whose coordinator is reached by HTTP proxies alone", () => {
  let federation: ProxiedFederation;
  /** Of site.yaml, and of the environment. */
  let named: ConnectProxy;
  let usual: ConnectProxy;

  beforeAll(async () => {
    named = await startConnectProxy({ names, credentials });
    usual = await startConnectProxy({ names });
    writeFileSync(credentialsFile, credentials, { mode: 0o600 });
    const way = { proxy: `http://127.0.0.1:${named.port}`, proxyCredentials: credentialsFile };
    federation = await ProxiedFederation.create({
      sites,
      host,
      coordinatorOf: (id) => (id === "settings" ? way : undefined),
    });
    process.env["https_proxy"] = `http://127.0.0.1:${usual.port}`;
    await federation.initialise();
    const path = join(federation.coordinatorHome, "coordinator.yaml");
    writeFileSync(path, readFileSync(path, "utf8").replace("sites: 30d", "sites: 60s"));
    await federation.startCoordinator();
    for (const hospital of federation.hospitals) {
      await federation.join(hospital);
      federation.startAgent(hospital.id);
    }
    await federation.admit(...sites);
  }, 400_000);

  afterAll(async () => {
    delete process.env["https_proxy"];
    await federation.remove();
    await Promise.all([named.stop(), usual.stop()]);
  }, 60_000);

  const logOf = (id: string) => readFileSync(join(federation.directory, "logs", `${id}.log`), "utf8");
  const doctor = async (id: string) => {
    const { stdout } = await runCommand(commands.agent, ["doctor", "--home", federation.agentHome(id), "--json"]);
    return (JSON.parse(stdout) as { checks: { name: string; level: string; message: string }[] }).checks;
  };

  it("joins, trains, renews and goes on, all of it through the proxies", async () => {
    const before = await federation.finished({ name: "through", rounds: 1 });
    expect(before.history.map(({ cohort }) => cohort.length)).toEqual([3]);
    const tunnelsBefore = named.tunnels.length;
    for (const id of sites) {
      await until(`${id} renews`, 90_000, async () => (logOf(id).includes("certificate-renewed") ? true : undefined));
    }
    const after = await federation.finished({ name: "renewed", rounds: 1 });
    expect(after.history).toHaveLength(1);
    // A renewed certificate takes a new connection.
    await until("connects anew", 90_000, async () => (named.tunnels.length > tunnelsBefore ? true : undefined));
    const ports = (proxy: ConnectProxy) => new Set(proxy.tunnels.map((tunnel) => tunnel.replace(/^.*:/, "")));
    for (const proxy of [named, usual]) {
      expect(proxy.tunnels.every((tunnel) => tunnel.startsWith(`${host}:`))).toBe(true);
      // Enrolment has a port of its own.
      expect(ports(proxy).size).toBe(2);
    }
  }, 400_000);

  it("has the commands that ask the coordinator obey too", async () => {
    const before = named.tunnels.length;
    await mustRun(commands.agent, ["roster", "fetch", "--home", federation.agentHome("settings"), "--json"]);
    // The agent may renew meanwhile.
    expect(named.tunnels.length).toBeGreaterThanOrEqual(before + 1);
    expect((await doctor("settings")).filter(({ level }) => level === "failed")).toEqual([]);
    expect(named.tunnels.length).toBeGreaterThanOrEqual(before + 3);
  }, 60_000);

  it("says in log and doctor that the proxy is gone, and never its password", async () => {
    await named.stop();
    const gone = `Nothing listens where the proxy should be: 127.0.0.1:${named.port}`;
    await until("agent names the proxy", 30_000, async () => (logOf("settings").includes(gone) ? true : undefined));
    const way = (await doctor("settings")).find(({ name }) => name === "proxy");
    expect(way).toMatchObject({ level: "failed", message: expect.stringContaining(gone) });
    const written = logOf("settings") + readFileSync(join(federation.agentHome("settings"), "status.json"), "utf8");
    expect(written).not.toMatch(/hunter2|YWdlbnQ6aHVudGVyMg/);
    // gRPC would write lines of its own.
    expect(logOf("settings")).not.toMatch(/through proxy|connect to proxy/);
  }, 60_000);
});
