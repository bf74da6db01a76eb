import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FederationSetup, type HospitalSetup, LocalFederation } from "../../deploy/demo/federation.js";
import { drawPhantoms } from "../../deploy/demo/phantoms.js";
import { until } from "../../deploy/demo/processes.js";

/** What `consilium run show --json` prints, as far as tests read it. */
export interface ShownRun {
  readonly summary: {
    readonly runId: string;
    readonly status: string;
    readonly statusReason: string;
    readonly roundsDone: number;
    readonly lastLoss: number;
    readonly checkpointDigest: string;
  };
  readonly current?: {
    readonly round: number;
    readonly stage: string;
    readonly waitingFor: string;
    readonly sites: readonly { readonly siteId: string; readonly phase: string; readonly reason: string }[];
  };
  readonly history: readonly {
    readonly round: number;
    readonly attempts: number;
    readonly cohort: readonly string[];
    readonly dropped: readonly { readonly siteId: string; readonly reason: string }[];
    readonly loss: number;
    readonly weight: number;
    readonly checkpointDigest: string;
    readonly parentDigest: string;
    readonly figures: Readonly<Record<string, number>>;
  }[];
}

/** A federation of real processes on a few drawn images, with a folder that goes away afterwards. */
export class SmallFederation extends LocalFederation {
  readonly directory: string;

  private constructor(setup: FederationSetup) {
    super(setup);
    this.directory = setup.directory;
  }

  static async create(options: {
    sites: readonly string[];
    images?: number;
    policyOf?: (id: string) => HospitalSetup["policy"];
  }): Promise<SmallFederation> {
    const directory = mkdtempSync(join(tmpdir(), "consilium-test-"));
    const images = join(directory, "images");
    await drawPhantoms({
      directory: images,
      hospitals: options.sites,
      trainPerHospital: options.images ?? 24,
      testPerHospital: 4,
      seed: 1,
    });
    const hospitals = options.sites.map((id) => {
      const policy = options.policyOf?.(id);
      return {
        id,
        data: { path: images, where: { hospital: id, split: "train" } },
        ...(policy === undefined ? {} : { policy }),
      };
    });
    return new SmallFederation({ directory, hospitals, threadsPerSite: 1, minCohort: 2 });
  }

  /** Hospitals with data of their own. @param hospitalsIn what they have, given a folder that goes away with the federation */
  static async over(hospitalsIn: (directory: string) => Promise<readonly HospitalSetup[]>): Promise<SmallFederation> {
    const directory = mkdtempSync(join(tmpdir(), "consilium-test-"));
    const hospitals = await hospitalsIn(directory);
    return new SmallFederation({ directory, hospitals, threadsPerSite: 1, minCohort: 2 });
  }

  async launch(overrides: Readonly<Record<string, unknown>> = {}, options: readonly string[] = []): Promise<string> {
    const folder = join(this.directory, "runs");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${Date.now()}.yaml`);
    writeFileSync(path, JSON.stringify({ ...tinyRun, ...overrides }));
    const launched = JSON.parse(await this.consilium("run", "launch", path, "--json", ...options)) as { runId: string };
    return launched.runId;
  }

  async show(runId: string): Promise<ShownRun> {
    return JSON.parse(await this.consilium("run", "show", runId, "--json")) as ShownRun;
  }

  /** Polls the run until `wanted` holds. */
  async runUntil(
    runId: string,
    what: string,
    wanted: (run: ShownRun) => boolean,
    timeoutMs = 120_000,
  ): Promise<ShownRun> {
    let seen = "nothing was seen of it";
    const run = until(what, timeoutMs, async () => {
      const shown = await this.show(runId);
      const { summary, current } = shown;
      seen = JSON.stringify({ status: summary.status, why: summary.statusReason, done: summary.roundsDone, current });
      return wanted(shown) ? shown : undefined;
    });
    return run.catch((thrown: unknown) => {
      throw new Error(`${what}: not so; last ${seen}`, { cause: thrown });
    });
  }

  finished(runId: string, timeoutMs = 180_000): Promise<ShownRun> {
    return this.runUntil(runId, "run completed", (run) => run.summary.status === "completed", timeoutMs);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Two steps a round of SimCLR on the smallest model: enough for every part to do its work. */
export const tinyRun = {
  name: "tiny",
  seed: 3,
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
  method: { name: "simclr", projectionDim: 32 },
  optimizer: { learningRate: 0.001 },
  training: { batchSize: 8, stepsPerRound: 2 },
  rounds: 3,
  cohort: { minSites: 2 },
  deadlines: { trainingSeconds: 60, stageSeconds: 20 },
};

/** Each checkpoint's parent is the one before it. */
export function lineageHolds(run: ShownRun): boolean {
  return run.history.every(
    (record, index) => index === 0 || record.parentDigest === run.history[index - 1]!.checkpointDigest,
  );
}
