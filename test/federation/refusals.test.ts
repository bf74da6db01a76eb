import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands, mustRun, runCommand, until } from "../../deploy/demo/processes.js";
import { type ShownRun, SmallFederation, tinyRun } from "../support/small-federation.js";

const promtool = spawnSync("promtool", ["--version"]).status === 0;

describe("what a federation refuses, and what it shows", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: ["north", "south", "west"] });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("refuses at the site a run that asks for more than the policy allows, and tells the researcher which clause", async () => {
    const runId = await federation.launch({ name: "greedy", rounds: 2000 });
    const run = await federation.runUntil(runId, "refused", ({ current }) =>
      (current?.sites ?? []).some((site) => site.phase === "refused"),
    );
    expect(run.current!.sites[0]!.reason).toBe("jobs.maxRounds");
    expect(run.current!.waitingFor).toMatch(/refused \(jobs\.maxRounds\)/);
    expect(run.summary.roundsDone).toBe(0);
    await federation.consilium("run", "stop", runId);
  }, 120_000);

  it("waits for a site whose policy wants a person's word, and has it once the run is granted", async () => {
    const home = federation.agentHome("north");
    const path = join(home, "policy.yaml");
    const text = readFileSync(path, "utf8");
    const policy = JSON.parse(text) as { jobs: object };
    writeFileSync(path, JSON.stringify({ ...policy, jobs: { ...policy.jobs, approval: "manual" } }));
    const runId = await federation.launch({ name: "asked", rounds: 1, cohort: { minSites: 3 } });
    const north = ({ current }: ShownRun) => current?.sites.find(({ siteId }) => siteId === "north");
    const waiting = await federation.runUntil(runId, "refused", (run) => north(run)?.phase === "refused");
    expect(north(waiting)!.reason).toBe("jobs.approval");
    const listed = JSON.parse(await mustRun(commands.agent, ["approvals", "list", "--home", home, "--json"])) as {
      approvals: { id: string; runId: string; decision: string }[];
    };
    expect(listed.approvals).toMatchObject([{ runId, decision: "waiting" }]);
    await mustRun(commands.agent, ["approvals", "grant", listed.approvals[0]!.id, "--home", home]);
    const run = await federation.finished(runId);
    expect(run.history[0]!.cohort).toContain("north");
    writeFileSync(path, text);
  }, 180_000);

  it("names the line of an unknown key in a run file and exits with 2", async () => {
    const path = join(federation.directory, "typo.yaml");
    writeFileSync(path, JSON.stringify({ ...tinyRun, roundz: 3 }, null, 1));
    const { code, stderr } = await runCommand(commands.consilium, [
      "run",
      "launch",
      path,
      "--profile",
      federation.profile,
    ]);
    const line =
      readFileSync(path, "utf8")
        .split("\n")
        .findIndex((text) => text.includes("roundz")) + 1;
    expect(stderr).toContain(`typo.yaml:${line}: unknown key 'roundz'`);
    expect(code).toBe(2);
  });

  it("lets a researcher see another's run, and neither stop it, resume it nor fetch its weights", async () => {
    const runId = await federation.launch({ name: "theirs", rounds: 2000 });
    const researcher = (...args: string[]) =>
      runCommand(commands.consilium, [
        ...args,
        "--profile",
        join(federation.coordinatorHome, "credentials/researcher"),
      ]);
    expect((await researcher("run", "show", runId)).code).toBe(0);
    const out = join(federation.directory, "taken");
    for (const args of [
      ["run", "stop", runId],
      ["run", "resume", runId],
      ["run", "export", runId, "--round", "0", "--no-onnx", "--out", out],
    ]) {
      const { code, stderr } = await researcher(...args);
      expect(stderr, args[1]).toContain(`run ${runId} was not launched by researcher researcher`);
      expect(stderr, args[1]).toContain("→ ask who launched it, or an operator");
      expect(code, args[1]).toBe(3);
    }
    const { summary } = await federation.show(runId);
    expect(summary.status).toMatch(/^(queued|running)$/);
    const [page] = await pages();
    for (const method of ["StopRun", "ResumeRun", "FetchWeights"]) {
      expect(page).toMatch(
        new RegExp(`rejected_inputs_total\\{method="AdminService/${method}",code="not-authorised"\\} 1`),
      );
    }
    await federation.consilium("run", "stop", runId);
  }, 60_000);

  it("accepts an invitation once", async () => {
    const invitation = JSON.parse(await federation.consilium("site", "invite", "late", "--json")) as { token: string };
    const join1 = await runCommand(commands.agent, ["join", invitation.token, "--home", federation.agentHome("late")]);
    expect(join1.code).toBe(0);
    const thief = await runCommand(commands.agent, ["join", invitation.token, "--home", federation.agentHome("thief")]);
    expect(thief.code).not.toBe(0);
    expect(thief.stderr).toContain('error: site "late": the invitation was already used');
  }, 60_000);

  it("shuts a revoked site out within seconds, and the agent says why", async () => {
    await federation.consilium("site", "revoke", "west");
    const log = () => readFileSync(join(federation.directory, "logs", "west.log"), "utf8");
    await until("agent says that it was revoked", 20_000, async () => (/revoked/.test(log()) ? true : undefined));
    const { sites } = JSON.parse(await federation.consilium("site", "list", "--json")) as {
      sites: { siteId: string; status: string; attached: boolean }[];
    };
    expect(sites.find((site) => site.siteId === "west")).toMatchObject({ status: "revoked", attached: false });
  }, 60_000);

  it("says in the agent's log that a coordinator of another federation is not the one that it joined", async () => {
    const other = await SmallFederation.create({ sites: [] });
    try {
      await other.initialise();
      await other.startCoordinator();
      const invitation = JSON.parse(await federation.consilium("site", "invite", "astray", "--json")) as {
        token: string;
      };
      const home = federation.agentHome("astray");
      await mustRun(commands.agent, ["join", invitation.token, "--home", home]);
      const path = join(home, "identity", "enrolment.json");
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), port: other.mainPort }));
      cpSync(join(federation.agentHome("north"), "policy.yaml"), join(home, "policy.yaml"));
      const site = JSON.parse(readFileSync(join(federation.agentHome("north"), "site.yaml"), "utf8"));
      writeFileSync(join(home, "site.yaml"), JSON.stringify({ ...site, metrics: { port: 0 } }));
      federation.startAgent("astray");
      const log = () => readFileSync(join(federation.directory, "logs", "astray.log"), "utf8");
      await until("agent names the reason", 20_000, async () => (/authority/.test(log()) ? true : undefined));
      expect(log()).not.toMatch(/at .*\.js:\d+/);
      const metrics = await (await fetch(`http://127.0.0.1:${other.coordinatorMetricsPort}/metrics`)).text();
      expect(metrics).toMatch(/attached_sites 0/);
    } finally {
      await federation.agent("astray")?.stop();
      await other.remove();
    }
  }, 90_000);

  const pages = async () => {
    const ports = [federation.coordinatorMetricsPort, federation.agentMetricsPorts.get("north")!];
    return Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
  };

  it("publishes metrics of rounds, bytes and refusals, never by site name", async () => {
    const [coordinator, agent] = await pages();
    expect(coordinator).toMatch(/consilium_coordinator_\w*attached\w* \d/);
    expect(agent).toMatch(/consilium_agent_\w+/);
    expect(coordinator).not.toMatch(/\b(north|south|west)\b/);
  });

  it.skipIf(!promtool)(
    "passes promtool check metrics (skipped where Debian's package `prometheus` is absent)",
    async () => {
      for (const page of await pages()) {
        expect(() =>
          execFileSync("promtool", ["check", "metrics"], { input: page, stdio: ["pipe", "pipe", "pipe"] }),
        ).not.toThrow();
      }
    },
  );

  it("waits and says so when the coordinator is gone, and comes back by itself", async () => {
    const log = () => readFileSync(join(federation.directory, "logs", "north.log"), "utf8");
    await federation.killCoordinator();
    await until("agent says that it waits", 20_000, async () => (/unreachable/.test(log()) ? true : undefined));
    expect(federation.agent("north")!.running).toBe(true);
    await federation.startCoordinator();
    await until("agent is back", 30_000, async () => {
      const { sites } = JSON.parse(await federation.consilium("site", "list", "--json")) as {
        sites: { siteId: string; attached: boolean }[];
      };
      return sites.some((site) => site.siteId === "north" && site.attached) ? true : undefined;
    });
  }, 90_000);
});
