import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dataSettingsSchema } from "../data-settings.js";
import { dicomSource } from "../dicom/dicom-source.js";
import type { ImageSource, SourceFile } from "../source.js";
import { dicomwebSource } from "./dicomweb-source.js";
import { hasOrthanc, TestOrthanc } from "./test-orthanc.js";

const data = fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const names = [
  "cxr/dicom/k_explicitLE_mono2_8bit.dcm",
  "cxr/dicom/k_jpegls_mono1_12bit.dcm",
  "cxr/dicom/k_j2k_lossless_mono2_12bit.dcm",
  "cxr/dicom/k_implicitLE_mono1_16bit.dcm",
  "cxr/dicom/rsna_chest_jpeg_baseline.dcm",
  "volumes/dicom_misc/CT_small.dcm",
  "volumes/dicom/MR_heart_16frames_8bit.dcm",
];
const isReady = hasOrthanc && existsSync(data);
const skipMessage = isReady ? "" : " (skipped: needs Debian's orthanc and orthanc-dicomweb, and ../shared/data)";

describe.skipIf(!isReady)(`dicomwebSource with Orthanc${skipMessage}`, () => {
  let orthanc: TestOrthanc;
  let folder: string;
  let opened: ImageSource[] = [];

  beforeAll(async () => {
    orthanc = await TestOrthanc.create();
    folder = await mkdtemp(join(tmpdir(), "dicomweb-"));
    await orthanc.start();
    for (const name of names) await orthanc.upload(join(data, name));
    await writeFile(join(folder, "authorization"), `${orthanc.authorization}\n`);
  }, 60_000);
  afterAll(async () => {
    await Promise.all(opened.map((source) => source.close()));
    opened = [];
    await orthanc?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  function open(over: Record<string, unknown> = {}, cache = "cache"): ImageSource {
    const settings = dataSettingsSchema.parse({
      source: "dicomweb",
      nameKey: "0".repeat(64),
      path: join(folder, cache),
      dicomweb: {
        url: orthanc.url,
        pageSize: 2,
        timeoutSeconds: 20,
        authorizationFile: join(folder, "authorization"),
        ...over,
      },
    });
    const retry = { attempts: 3, firstDelayMilliseconds: 20 };
    const source = dicomwebSource({ settings, nameKey: "key", workingSize: 128, retry });
    opened.push(source);
    return source;
  }

  async function list(source: ImageSource): Promise<SourceFile[]> {
    const files: SourceFile[] = [];
    for await (const file of source.files()) files.push(file);
    return files;
  }

  it("lists all objects page by page, in stable order, with ids that say nothing", async () => {
    const files = await list(open());
    expect(files).toHaveLength(names.length);
    expect(await list(open())).toEqual(files);
    for (const { id } of files) expect(id).toMatch(/^[\w-]{60,}$/);
  });

  it("asks for a modality, a part of the body and dates", async () => {
    expect(await list(open({ modality: "CT" }))).toHaveLength(1);
    expect(await list(open({ modality: "US" }))).toHaveLength(0);
    expect((await list(open({ modality: "DX" }))).length).toBe(3);
    expect(await list(open({ bodyPart: "NOWHERE" }))).toHaveLength(0);
    expect(await list(open({ modality: "CT", from: "20040101", to: "20041231" }))).toHaveLength(1);
    expect(await list(open({ modality: "CT", from: "20050101" }))).toHaveLength(0);
  });

  it("reads what the files themselves hold", async () => {
    const source = open();
    const fromArchive = new Set<string>();
    for (const file of await list(source)) {
      for (const item of await source.items(file)) fromArchive.add(await fingerprint(source, item.id, item.stamp));
    }
    const settings = dataSettingsSchema.parse({ source: "dicom", path: data });
    const local = dicomSource({ settings, nameKey: "key", workingSize: 128 });
    const fromFiles = new Set<string>();
    for (const name of names) {
      for (const item of await local.items({ id: name, stamp: "" }))
        fromFiles.add(await fingerprint(local, item.id, ""));
    }
    expect(fromArchive).toEqual(fromFiles);
    expect(fromArchive.size).toBe(names.length - 1 + 16);
    const cached = await readdir(join(folder, "cache"));
    expect(cached.filter((name) => /^[0-9a-f]{32}\.dcm$/.test(name))).toHaveLength(names.length);
  });

  it("says that an account is refused", async () => {
    const source = open({ authorizationFile: undefined });
    await expect(list(source)).rejects.toMatchObject({
      code: "input-unreadable",
      remedy: expect.stringContaining("authorizationFile"),
    });
  });

  it("reads on from its cache while the archive is down, and from the archive when it is back", async () => {
    const source = open({}, "second");
    const [first, second] = await list(source);
    await source.items(first!);
    await orthanc.kill();
    await expect(source.items(first!)).resolves.not.toHaveLength(0);
    const failure = await source.items(second!).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: "input-unreadable", name: "ConsiliumError" });
    expect(failure).not.toHaveProperty("reason");
    expect(String(failure)).not.toMatch(/\d\.\d+\.\d+\.\d+\.\d+/);
    await expect(list(open())).rejects.toMatchObject({ code: "input-unreadable" });
    await orthanc.start();
    await expect(source.items(second!)).resolves.not.toHaveLength(0);
  }, 60_000);
});

async function fingerprint(source: ImageSource, id: string, stamp: string): Promise<string> {
  const { width, height, data: pixels } = await source.read({ id, stamp });
  return `${width}x${height} ${Buffer.from(pixels).toString("base64")}`;
}
