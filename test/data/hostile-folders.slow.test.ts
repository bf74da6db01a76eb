import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFor } from "@consilium/shared/random.js";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { folderSource } from "@consilium/site-agent/data/folder-source.js";
import { listItems } from "@consilium/site-agent/data/list-items.js";
import { type ImageSource, UnreadableImage } from "@consilium/site-agent/data/source.js";
import { volumeSource } from "@consilium/site-agent/data/volume/volume-source.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pattern, put } from "../../site-agent/src/data/test-images.js";
import { madeNifti } from "../../site-agent/src/data/volume/testing/made-volumes.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-hostile-folder-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (): ImageSource => folderSource({ settings: dataSettingsSchema.parse({ path: folder }), imageSize: 32 });

function volumes(): ImageSource {
  const settings = dataSettingsSchema.parse({ source: "volume", path: folder });
  return volumeSource({ settings, nameKey: "key", imageSize: 32 });
}

async function outcome(source: ImageSource, id: string): Promise<string> {
  try {
    await source.read({ id, stamp: "" });
    return "read";
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    return thrown.reason;
  }
}

describe("hostile folders", () => {
  it("end in links that lead in circles or nowhere", async () => {
    await put(folder, "a/good.png", pattern(40, 40).png());
    await symlink("self.png", join(folder, "self.png"));
    await symlink("there.png", join(folder, "here.png"));
    await symlink("here.png", join(folder, "there.png"));
    await symlink("..", join(folder, "a/up"));
    await symlink("/nowhere/at/all.png", join(folder, "broken.png"));
    const items = await listItems(open());
    expect(items.map(({ id }) => id)).toEqual(["a/good.png", "broken.png", "here.png", "self.png", "there.png"]);
    const outcomes = await Promise.all(items.map(({ id }) => outcome(open(), id)));
    expect(outcomes).toEqual(["read", "missing", "missing", "missing", "missing"]);
  });

  it("may be images by name only", async () => {
    await put(folder, "folder.png/inner.png", pattern(40, 40).png());
    expect((await listItems(open())).map(({ id }) => id)).toEqual(["folder.png/inner.png"]);
    expect(await outcome(open(), "folder.png")).toBe("missing");
    execFileSync("mkfifo", [join(folder, "pipe.png"), join(folder, "pipe.nii")]);
    expect(await outcome(open(), "pipe.png")).toBe("missing");
    await expect(open().items({ id: "pipe.png", stamp: "" })).rejects.toMatchObject({ reason: "missing" });
    await expect(volumes().items({ id: "pipe.nii", stamp: "" })).rejects.toMatchObject({ reason: "missing" });
  });

  const mayReadAll = process.getuid?.() === 0;
  it.skipIf(mayReadAll)("may be closed to the agent (skipped for root, who may read everything)", async () => {
    await put(folder, "a.png", pattern(40, 40).png());
    await chmod(join(folder, "a.png"), 0);
    expect(await outcome(open(), "a.png")).toBe("no-permission");
  });
});

describe("files that change while they are read", () => {
  const grown = 200;

  it.each([
    ["a photo", "a.png", () => pattern(1200, 900, 2).png().toBuffer(), open],
    ["a volume", "a.nii", async () => madeNifti({ dims: [200, 200, 40], voxels: noise(1_600_000) }), volumes],
  ] as const)("are read or refused: %s", { timeout: 60_000 }, async (_, id, make, source) => {
    const bytes = await make();
    const path = join(folder, id);
    for (let round = 0; round < 12; round++) {
      await writeFile(path, bytes);
      const reading = readAny(source(), id);
      await new Promise((resolve) => setTimeout(resolve, round));
      if (round % 3 === 0) await truncate(path, bytes.length >> 1);
      else if (round % 3 === 1) await writeFile(path, Buffer.concat([bytes.subarray(0, 1000), Buffer.alloc(grown)]));
      else await rm(path);
      expect(["read", "truncated", "damaged", "missing", "empty", "unsupported-format"]).toContain(await reading);
    }
  });

  async function readAny(source: ImageSource, id: string): Promise<string> {
    try {
      const items = await source.items({ id, stamp: "" });
      await source.read(items[0]!);
      return "read";
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
      return thrown.reason;
    }
  }
});

function noise(length: number): Uint8Array {
  const random = randomFor("noise");
  return new Uint8Array(length).map(() => random.integer(256));
}

describe("hostile labels files", () => {
  const list = async (csv: string | Uint8Array): Promise<readonly string[]> => {
    await put(folder, "labels.csv", csv);
    const ids: string[] = [];
    for await (const { id } of open().files()) ids.push(id);
    return ids;
  };

  it.each(["../../etc/passwd", "/etc/passwd", "a/../../b.png", "..", "a/..//../b.png"])(
    "cannot name %s",
    async (path) => {
      await expect(list(`file,label\n${path},x\n`)).rejects.toMatchObject({ code: "config-invalid" });
    },
  );

  it("may name what cannot be a file", async () => {
    const long = "x".repeat(1_000_000);
    expect((await list(`file,label\n${long}.png,x\nzero\0byte.png,y\n`)).length).toBe(2);
    expect(await outcome(open(), `${long}.png`)).toBe("missing");
    expect(await outcome(open(), "zero\0byte.png")).toBe("missing");
  });

  it("may have a cell of ten million characters", async () => {
    await put(folder, "a.png", pattern(40, 40).png());
    expect(await list(`file,label\na.png,"${"y".repeat(10_000_000)}"\n`)).toEqual(["a.png"]);
  });

  it("may have a quotation without end", async () => {
    await expect(list(`file,label\na.png,"${"z\n".repeat(1_000_000)}`)).rejects.toMatchObject({
      code: "config-invalid",
    });
  });

  it("with any bit flipped are read or refused as a whole", async () => {
    const rows = Array.from({ length: 20 }, (_, row) => `dir/${row}.png,label ${row % 3},"a, b"`);
    const bytes = Buffer.from(["file,label,note", ...rows, ""].join("\n"));
    const random = randomFor("hostile csv");
    let refused = 0;
    for (let round = 0; round < 1000; round++) {
      const copy = Buffer.from(bytes);
      copy[random.integer(copy.length)]! ^= 1 << random.integer(8);
      const ids = await list(copy).catch((error: { code: string }) => error.code);
      if (Array.isArray(ids)) expect(ids.every((id) => !id.includes(".."))).toBe(true);
      else {
        expect(ids).toBe("config-invalid");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(1000);
  });
});
