import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writePrivateFile } from "../durable-files.js";
import { loadTlsBundle, saveTlsBundle } from "./key-files.js";

describe("key files", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "consilium-files-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("keeps a bundle, its key readable by the owner alone", async () => {
    const bundle = { caPem: "ca", certPem: "certificate", keyPem: "key" };
    const tls = join(directory, "tls");
    await saveTlsBundle(tls, bundle);
    expect(await loadTlsBundle(tls)).toEqual(bundle);
    expect((await stat(join(tls, "key.pem"))).mode & 0o777).toBe(0o600);
    expect((await stat(tls)).mode & 0o777).toBe(0o700);
  });

  it("replaces whole files and leaves nothing beside them", async () => {
    const own = join(directory, "own");
    await saveTlsBundle(own, { caPem: "1", certPem: "1", keyPem: "1" });
    await writePrivateFile(join(own, "key.pem"), "2");
    expect(await readFile(join(own, "key.pem"), "utf8")).toBe("2");
    expect((await readdir(own)).sort()).toEqual(["ca.pem", "certificate.pem", "key.pem"]);
  });

  it("names the file that is missing or cannot be written", async () => {
    await expect(loadTlsBundle(join(directory, "absent"))).rejects.toMatchObject({
      code: "config-missing",
      message: expect.stringContaining("ca.pem"),
    });
    await expect(writePrivateFile(join(directory, "absent", "x"), "x")).rejects.toMatchObject({ code: "storage" });
  });
});
