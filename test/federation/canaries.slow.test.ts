import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { RunDraws } from "@consilium/site-agent/round/run-draws.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawPhantoms } from "../../deploy/demo/phantoms.js";
import { commands, runCommand } from "../../deploy/demo/processes.js";
import { dicomBytes, imageElements } from "../../site-agent/src/data/dicom/test-dicom.js";
import { SmallFederation } from "../support/small-federation.js";

/**
 * Strings planted where hospitals have names: in DICOM tags, in names of files and folders, in columns of a labels file
 * that nobody asked for. None may be in anything that is logged, measured, exported or sent.
 */
const canaries = {
  name: "KANARIENVOGEL^ERIKA",
  patient: "CANARY-PATIENT-90210",
  birthDate: "19370412",
  accession: "CANARY-ACCESSION-5",
  study: "1.2.840.99999.77777.1",
  series: "1.2.840.99999.77777.2",
  instance: "1.2.840.99999.77777.3",
  institution: "CANARY-INSTITUTION",
  comment: "CANARY-COMMENT",
  file: "CANARYFILE-Mustermann-Max",
  folder: "CANARYFOLDER-1962-03-01",
  column: "CANARYCOLUMN-Musterfrau",
} as const;

const size = 48;

function plantedDicom(index: number, over: Parameters<typeof imageElements>[3] = {}): Buffer {
  const pixels = Uint8Array.from({ length: size * size }, (_, at) => (at * (index + 3)) % 251);
  return dicomBytes(
    imageElements(size, size, pixels, {
      "00080018": ["UI", `${canaries.instance}.${index}`],
      "00080050": ["SH", canaries.accession],
      "00080080": ["LO", canaries.institution],
      "00100010": ["PN", canaries.name],
      "00100020": ["LO", canaries.patient],
      "00100030": ["DA", canaries.birthDate],
      "0020000d": ["UI", canaries.study],
      "0020000e": ["UI", canaries.series],
      "00204000": ["LT", canaries.comment],
      ...over,
    }),
  );
}

/** Good images, and every kind of bad one, so that failures are spoken of too. */
function plantDicom(root: string): void {
  const folder = join(root, canaries.folder);
  mkdirSync(folder, { recursive: true });
  for (let index = 0; index < 16; index++) {
    writeFileSync(join(folder, `${canaries.file}-${index}.dcm`), plantedDicom(index));
  }
  const whole = plantedDicom(99);
  writeFileSync(join(folder, `${canaries.file}-cut.dcm`), whole.subarray(0, whole.length - 900));
  writeFileSync(join(folder, `${canaries.file}-burned.dcm`), plantedDicom(98, { "00280301": ["CS", "YES"] }));
  writeFileSync(join(folder, `${canaries.file}-us.dcm`), plantedDicom(97, { "00080060": ["CS", "US"] }));
}

async function plantPhotos(root: string): Promise<void> {
  await drawPhantoms({ directory: root, hospitals: ["south"], trainPerHospital: 16, testPerHospital: 0, seed: 4 });
  const [header, ...rows] = readFileSync(join(root, "labels.csv"), "utf8").trim().split("\n");
  const bad = `${canaries.file}.jpg`;
  writeFileSync(join(root, bad), "no image");
  const columns = header!.split(",");
  const badRow = columns.map((column) => (column === "file" ? bad : column === "split" ? "train" : "south")).join(",");
  const table = [`${header},remark`, ...[...rows, badRow].map((row) => `${row},${canaries.column}`)];
  writeFileSync(join(root, "labels.csv"), table.join("\n"));
}

function filesBelow(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}

function canariesIn(bytes: Buffer): string[] {
  const text = bytes.toString("latin1");
  return Object.entries(canaries).flatMap(([kind, canary]) => (text.includes(canary) ? [kind] : []));
}

/** The salt of a run, and the seed of its draws that follows from it. */
function secretsOf(runDirectory: string, salt: string): string[] {
  const ledger = { hasUploaded: () => false };
  const draws = new RunDraws({ directory: dirname(runDirectory), entropy: systemEntropy, ledger });
  return [salt, draws.seedOf({ runId: basename(runDirectory), round: 1 }, 1)];
}

function formsOf(secret: string): (string | Buffer)[] {
  const bytes = Buffer.from(secret, "hex");
  return [secret, bytes, bytes.toString("base64"), bytes.toString("base64url")];
}

describe("what a hospital's data says of patients", () => {
  let federation: SmallFederation;
  let sent: string;

  beforeAll(async () => {
    federation = await SmallFederation.over(async (directory) => {
      const [north, south, west] = ["north", "south", "west"].map((id) => join(directory, "images", id));
      plantDicom(north!);
      await plantPhotos(south!);
      plantDicom(west!);
      return [
        { id: "north", data: { source: "dicom", path: north } },
        { id: "south", data: { path: south, where: { split: "train" } } },
        { id: "west", data: { source: "dicom", path: west } },
      ];
    });
    sent = join(federation.directory, "sent-bytes");
    const recorder = pathToFileURL(fileURLToPath(new URL("../support/record-sent.mjs", import.meta.url)));
    const before = process.env["NODE_OPTIONS"];
    process.env["NODE_OPTIONS"] = `${before ?? ""} --import ${recorder.href}`;
    process.env["SENT_BYTES"] = sent;
    await federation.start();
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
    delete process.env["SENT_BYTES"];
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("is in nothing that is sent, logged, measured or exported", async () => {
    const run = await federation.finished(
      await federation.launch({ modality: "radiograph", rounds: 2, cohort: { minSites: 3 } }),
    );
    expect(run.history).toHaveLength(2);

    const messages = readFileSync(sent);
    // Two rounds of masked weights of three sites: the recorder saw what was sent.
    expect(messages.length).toBeGreaterThan(3 * 2 * 1_000_000);
    expect(canariesIn(messages)).toEqual([]);

    const ports = [federation.coordinatorMetricsPort, ...federation.agentMetricsPorts.values()];
    for (const port of ports) {
      const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(page).toContain("# TYPE");
      expect(canariesIn(Buffer.from(page))).toEqual([]);
    }

    for (const id of ["north", "south", "west"]) {
      const report = await runCommand(commands.agent, ["check-data", "--home", federation.agentHome(id), "--json"]);
      const { images, unreadable } = JSON.parse(report.stdout) as { images: number; unreadable: unknown[] };
      expect([id, images, unreadable.length]).toEqual([id, 16, 1]);
      expect(canariesIn(Buffer.from(report.stdout + report.stderr))).toEqual([]);
    }

    const out = join(federation.directory, "export");
    await federation.consilium("run", "export", run.summary.runId, "--out", out);
    // The agents' index knows files by name, the folders of images have them: all else that was written is read here.
    const own = ["images", ...["north", "south", "west"].map((id) => join(id, "cache"))].map((name) =>
      join(federation.directory, name),
    );
    const written = filesBelow(federation.directory).filter((path) => !own.some((folder) => path.startsWith(folder)));
    expect(written.length).toBeGreaterThan(20);
    const found = written.flatMap((path) => canariesIn(readFileSync(path)).map((kind) => `${kind} in ${path}`));
    expect(found).toEqual([]);
  }, 240_000);

  it("nor is what training begins its draws from, but in the one file that keeps it", () => {
    const kept = filesBelow(federation.directory).filter((path) => basename(path) === "draw-salt");
    expect(new Set(kept.map((path) => readFileSync(path, "utf8"))).size).toBe(3);
    const secrets = kept.flatMap((path) => secretsOf(dirname(path), readFileSync(path, "utf8").trim()));
    const others = filesBelow(federation.directory).filter((path) => !kept.includes(path));
    expect(others).toContain(sent);
    const found = others.filter((path) => {
      const bytes = readFileSync(path);
      return secrets.some((secret) => formsOf(secret).some((form) => bytes.includes(form)));
    });
    expect(found).toEqual([]);
  });

  it("would be found: the test sees what it looks for", () => {
    const planted = filesBelow(join(federation.directory, "images")).flatMap((path) => [
      ...canariesIn(readFileSync(path)),
      ...canariesIn(Buffer.from(path)),
    ]);
    expect([...new Set(planted)].sort()).toEqual(Object.keys(canaries).sort());
  });
});
