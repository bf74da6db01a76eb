import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands, runCommand } from "../../deploy/demo/processes.js";
import { SmallFederation } from "../support/small-federation.js";

const sites = ["north", "south", "west"];

describe("the audit logs of a federation", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites });
    await federation.start();
  }, 120_000);
  afterAll(() => federation.remove(), 60_000);

  const agent = (id: string, ...parameters: string[]) =>
    runCommand(commands.agent, [...parameters, "--home", federation.agentHome(id)]);

  it("tell of two rounds what came, what was opened and what left, while the agents run", async () => {
    const run = await federation.finished(
      await federation.launch({ modality: "dermatology", rounds: 2, cohort: { minSites: 3 } }),
    );
    const { runId } = run.summary;
    for (const id of sites) {
      const verified = await agent(id, "audit", "verify", "--json");
      const report = JSON.parse(verified.stdout) as { witnessed: number };
      expect(report).toMatchObject({ intact: true, recovered: 0 });
      // What the first round's reports carried came back in the second round's plan.
      expect(report.witnessed).toBeGreaterThanOrEqual(1);

      const shown = await agent(id, "audit", "show", "--run", runId, "--json");
      const entries = shown.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { action: string; outcome: string });
      const count = (action: string) => entries.filter((entry) => entry.action === action).length;
      expect(["plan.received", "plan.accepted", "model.received", "data.opened"].map(count)).toEqual([2, 2, 2, 2]);
      // Advert, shares, upload, confirmation and reveals, in two rounds.
      expect(count("message.released")).toBe(2 * 5);
      expect(entries.every(({ outcome }) => outcome === "success")).toBe(true);

      const egress = JSON.parse((await agent(id, "egress", "--run", runId, "--json")).stdout) as {
        runs: { kinds: { upload: { messages: number; bytes: number } } }[];
      };
      expect(egress.runs[0]!.kinds.upload.messages).toBe(2);
      expect(egress.runs[0]!.kinds.upload.bytes).toBeGreaterThan(2_000_000);
    }
  }, 240_000);

  it("show it when someone edits one", async () => {
    const directory = join(federation.agentHome("west"), "audit");
    const [first] = readdirSync(directory).filter((name) => name.endsWith(".jsonl"));
    const path = join(directory, first!);
    writeFileSync(path, readFileSync(path, "utf8").replace('"action":"data.opened"', '"action":"plan.opened"'));
    const { code, stderr } = await agent("west", "audit", "verify");
    expect(code).toBe(6);
    expect(stderr).toContain("looks like a changed line");
  }, 30_000);
});
