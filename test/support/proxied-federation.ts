import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HospitalSetup, LocalFederation } from "../../deploy/demo/federation.js";
import { drawPhantoms } from "../../deploy/demo/phantoms.js";
import { until } from "../../deploy/demo/processes.js";
import { type ShownRun, tinyRun } from "./small-federation.js";

/** A federation of real processes on a few drawn images, whose coordinator has a name of its own. */
export class ProxiedFederation extends LocalFederation {
  readonly directory: string;

  private constructor(directory: string, host: string, hospitals: readonly HospitalSetup[]) {
    super({ directory, host, hospitals, threadsPerSite: 1, minCohort: 2 });
    this.directory = directory;
  }

  static async create(options: {
    readonly sites: readonly string[];
    readonly host: string;
    readonly coordinatorOf: (id: string) => HospitalSetup["coordinator"];
  }): Promise<ProxiedFederation> {
    const { sites, host, coordinatorOf } = options;
    const directory = mkdtempSync(join(tmpdir(), "consilium-test-"));
    const images = join(directory, "images");
    await drawPhantoms({ directory: images, hospitals: sites, trainPerHospital: 24, testPerHospital: 4, seed: 1 });
    const hospitals = sites.map((id): HospitalSetup => {
      const coordinator = coordinatorOf(id);
      const data = { path: images, where: { hospital: id, split: "train" } };
      return { id, data, ...(coordinator === undefined ? {} : { coordinator }) };
    });
    return new ProxiedFederation(directory, host, hospitals);
  }

  /** The run that was launched, once it is completed. */
  async finished(overrides: Readonly<Record<string, unknown>>): Promise<ShownRun> {
    const path = join(this.directory, `${Date.now()}.yaml`);
    writeFileSync(path, JSON.stringify({ ...tinyRun, ...overrides }));
    const { runId } = JSON.parse(await this.consilium("run", "launch", path, "--json")) as { runId: string };
    return until("run completed", 180_000, async () => {
      const run = JSON.parse(await this.consilium("run", "show", runId, "--json")) as ShownRun;
      return run.summary.status === "completed" ? run : undefined;
    });
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
