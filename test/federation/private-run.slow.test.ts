import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterEach, describe, expect, it } from "vitest";
import { drawPhantoms } from "../../deploy/demo/phantoms.js";
import { commands, mustRun } from "../../deploy/demo/processes.js";
import { lineageHolds, SmallFederation, tinyRun } from "../support/small-federation.js";

/** The commands of docs/privacy.md, on real processes. Noise is far too little to hide anyone: models are tiny, and so are sites. */

const sites = ["north", "south", "west"];
const maxEpsilon = 1e9;

const modes = {
  patient: {
    run: {
      method: { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 4 },
      monitor: { collapse: "off" },
      privacy: { mode: "patient", clip: 1, noiseMultiplier: 0.02, delta: 1e-5, leastPatients: 16 },
    },
    hopeless: { mode: "patient", clip: 1, epsilon: 0.01, delta: 1e-5, leastPatients: 16 },
    data: { patients: "each-image" },
  },
  site: {
    run: {
      monitor: { collapse: "off" },
      privacy: { mode: "site", clip: 1, noiseMultiplier: 0.002, delta: 1e-5 },
    },
    hopeless: { mode: "site", clip: 1, epsilon: 8, delta: 1e-5 },
    data: {},
  },
} as const;

let federation: SmallFederation | undefined;
afterEach(() => federation?.remove(), 60_000);

async function federationFor(mode: keyof typeof modes): Promise<SmallFederation> {
  return SmallFederation.over(async (directory) => {
    const images = join(directory, "images");
    const drawn = { directory: images, hospitals: sites, trainPerHospital: 24, testPerHospital: 4, seed: 1 };
    await drawPhantoms(drawn);
    return sites.map((id) => ({
      id,
      data: { path: images, where: { hospital: id, split: "train" }, ...modes[mode].data },
      policy: { dp: { mode, required: true, maxEpsilon, delta: 1e-5 } },
    }));
  });
}

interface Ledgers {
  readonly ledgers: readonly {
    readonly maxEpsilon: number;
    readonly epsilon: number;
    readonly runs: readonly { readonly run: string; readonly rounds: number }[];
  }[];
}

interface Verdicts {
  readonly allowed: boolean;
  readonly clauses: readonly { readonly clause: string; readonly verdict: string }[];
}

describe("a private run of real processes", () => {
  it.each(["patient", "site"] as const)(
    "in mode %s is planned, trained, accounted, and refused where hopeless",
    async (mode) => {
      federation = await federationFor(mode);
      await federation.start();
      const { run, hopeless } = modes[mode];
      const fileOf = (privacy: object) => {
        const path = join(federation!.directory, `${Object.values(privacy).join("-")}.yaml`);
        writeFileSync(path, JSON.stringify({ ...tinyRun, ...run, cohort: { minSites: 3 }, privacy }));
        return path;
      };
      const agent = (...args: string[]) => mustRun(commands.agent, [...args, "--home", federation!.agentHome("north")]);

      const predicted = await federation.consilium("run", "launch", fileOf(run.privacy), "--dry-run");
      expect(predicted).toMatch(new RegExp(`privacy of each ${mode}: ε at most [\\d.]+ at δ .*\\n *noise to signal`));
      await expect(federation.consilium("run", "launch", fileOf(hopeless))).rejects.toThrow(
        /private training would fail/,
      );
      const judge = async (privacy: object) =>
        JSON.parse(await agent("policy", "check", fileOf(privacy), "--json")) as Verdicts;
      expect((await judge(run.privacy)).allowed).toBe(true);

      const runId = await federation.launch({ ...run, cohort: { minSites: 3 } });
      const finished = await federation.finished(runId);
      expect(finished.history.map(({ cohort }) => cohort)).toEqual([sites, sites, sites]);
      expect(lineageHolds(finished)).toBe(true);
      const { ledgers } = JSON.parse(await agent("privacy", "--json")) as Ledgers;
      expect(ledgers).toMatchObject([{ maxEpsilon, runs: [{ run: runId, rounds: 3 }] }]);
      expect(ledgers[0]!.epsilon).toBeGreaterThan(0);

      const out = join(federation.directory, "weights");
      await federation.consilium("run", "export", runId, "--out", out, "--no-onnx");
      const { tensors } = await readSafetensors(join(out, "checkpoint.safetensors"));
      for (const { data } of tensors.values()) expect(data.every(Number.isFinite)).toBe(true);
    },
    200_000,
  );
});
