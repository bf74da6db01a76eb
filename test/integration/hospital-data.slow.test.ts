import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasOrthanc, TestOrthanc } from "../../site-agent/src/data/dicomweb/test-orthanc.js";
import { SmallFederation } from "../support/small-federation.js";

/** Real agents that pretrain from what hospitals really have. Images are read where they lie. */

const data = fileURLToPath(new URL("../../../shared/data", import.meta.url));
const radiographs = join(data, "cxr/dicom");
const slides = join(data, "slides/wsi");
const volumes = join(data, "volumes/nifti");

const missing = [
  ...(existsSync(radiographs) ? [] : ["the folder ../shared/data of real images"]),
  ...(hasOrthanc ? [] : ["Orthanc with its DICOMweb plugin (apt install orthanc orthanc-dicomweb)"]),
];

describe.skipIf(missing.length > 0)(
  `pretraining from hospital data${missing.map((what) => ` [needs ${what}]`).join("")}`,
  () => {
    let archive: TestOrthanc;
    let federation: SmallFederation;

    beforeAll(async () => {
      archive = await TestOrthanc.create();
      await archive.start();
      const objects = readdirSync(radiographs).filter((name) => name.startsWith("k_"));
      for (const name of objects) await archive.upload(join(radiographs, name));
      federation = await SmallFederation.over(async (directory) => {
        const authorizationFile = join(directory, "authorization");
        await writeFile(authorizationFile, archive.authorization, { mode: 0o600 });
        return [
          {
            id: "archive",
            data: {
              source: "dicomweb",
              path: join(directory, "kept"),
              dicomweb: { url: archive.url, authorizationFile },
            },
          },
          { id: "files", data: { source: "dicom", path: radiographs } },
          { id: "slides", data: { source: "slide", path: slides, slide: { micrometresPerPixel: 1, minTissue: 0.2 } } },
          { id: "volumes", data: { source: "volume", path: volumes } },
        ].map((hospital) => ({ ...hospital, policy: { jobs: { ...generousJobs, minLocalSamples: 1 } } }));
      });
      await federation.start();
    }, 240_000);

    afterAll(async () => {
      await federation?.remove();
      await archive?.remove();
    }, 60_000);

    it("takes an archive, DICOM files, SVS and NDPI slides, and volumes", async () => {
      const method = { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 4 };
      const training = { batchSize: 8, stepsPerRound: 3 };
      const runId = await federation.launch({
        ...{ name: "hospitals", modality: "radiograph", method, training, rounds: 2 },
        cohort: { minSites: 4 },
      });
      const run = await federation.finished(runId, 400_000);
      expect(run.history).toHaveLength(2);
      for (const record of run.history) {
        expect([...record.cohort].sort()).toEqual(["archive", "files", "slides", "volumes"]);
        expect(record.dropped).toEqual([]);
        expect(record.loss).toBeGreaterThan(0.2);
        expect(record.loss).toBeLessThan(4);
      }
    }, 500_000);
  },
);

const generousJobs = {
  ...{ methods: ["mae"], architectures: ["vit-nano"], modalities: ["radiograph"] },
  ...{ maxRounds: 10, maxStepsPerRound: 10, maxBatchSize: 64, maxParameters: 100_000_000 },
  // Two short rounds, and nobody to grant them.
  ...{ minStepsPerRound: 1, approval: "automatic" },
};
