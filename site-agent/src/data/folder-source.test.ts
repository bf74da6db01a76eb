import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DataSettings, dataSettingsSchema } from "./data-settings.js";
import { folderSource } from "./folder-source.js";
import { listItems } from "./list-items.js";
import type { ImageSource, SourceItem } from "./source.js";
import { flat, pattern, put } from "./test-images.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "folder-source-"));
});
afterEach(() => rm(folder, { recursive: true }));

function open(settings: Partial<DataSettings> = {}, imageSize = 16): ImageSource {
  return folderSource({ settings: dataSettingsSchema.parse({ path: folder, ...settings }), imageSize });
}

async function ids(source: ImageSource): Promise<string[]> {
  return (await listItems(source)).map(({ id }) => id);
}

async function item(source: ImageSource, id: string): Promise<SourceItem> {
  return (await listItems(source)).find((listed) => listed.id === id)!;
}

describe("folderSource without a labels file", () => {
  it("finds images at any depth in stable order, and nothing else", async () => {
    const image = await flat(4, 4, [1, 2, 3]).png().toBuffer();
    for (const id of ["b.png", "B.PNG", "a/z.jpg", "a/é.tiff", "a.webp", ".hidden.png", "notes.txt", "a/.x/y.png"]) {
      await put(folder, id, image);
    }
    expect(await ids(open())).toEqual(["B.PNG", "a.webp", "a/z.jpg", "a/é.tiff", "b.png"]);
  });

  it("follows links, but not in circles", async () => {
    await put(folder, "real/a.png", flat(4, 4, [1, 2, 3]).png());
    await symlink(join(folder, "real/a.png"), join(folder, "link.png"));
    await symlink(folder, join(folder, "real/circle"));
    expect(await ids(open())).toEqual(["link.png", "real/a.png"]);
  });

  it("changes an item's stamp with its file", async () => {
    await put(folder, "a.png", flat(4, 4, [1, 2, 3]).png());
    const source = open();
    const before = await item(source, "a.png");
    await put(folder, "a.png", pattern(9, 9).png());
    expect((await item(source, "a.png")).stamp).not.toBe(before.stamp);
  });

  it("says so when there is no image or no folder", async () => {
    await expect(listItems(open())).rejects.toMatchObject({ code: "not-enough-data" });
    await expect(listItems(open({ path: join(folder, "none") }))).rejects.toMatchObject({ code: "input-unreadable" });
    await put(folder, "file.png", "text");
    await expect(listItems(open({ path: join(folder, "file.png") }))).rejects.toMatchObject({
      code: "input-unreadable",
    });
  });
});

describe("folderSource with a labels file", () => {
  beforeEach(async () => {
    for (const id of ["a.png", "b.png", "c.png", "unlisted.png"]) await put(folder, id, flat(4, 4, [1, 2, 3]).png());
    await put(
      folder,
      "labels.csv",
      "\uFEFFfile,dx,split,patient\nc.png,mel,train,p1\na.png,nv,train,p2\nb.png,nv,test,p3\n",
    );
  });

  it("takes the rows that match, with their columns", async () => {
    const source = open({
      where: { split: "train" },
      columns: { label: "dx", group: "patient", split: "split", attributes: [] },
    });
    const items = await listItems(source);
    expect(items.map(({ id, label, group, split }) => [id, label, group, split])).toEqual([
      ["a.png", "nv", "p2", "train"],
      ["c.png", "mel", "p1", "train"],
    ]);
  });

  it("leaves out files that it does not name", async () => {
    expect(await ids(open())).toEqual(["a.png", "b.png", "c.png"]);
  });

  it.each([
    ["a column that is missing", "file,x\na.png,1\n", { where: { split: "train" } }, /no column 'split'/],
    ["no file column", "path,x\na.png,1\n", {}, /no column 'file'/],
    ["a path outside the folder", "file,x\n../a.png,1\n", {}, /line 2: not a path inside/],
    ["an absolute path", "file\n/etc/passwd\n", {}, /line 2/],
    ["a row listed twice", "file,x\na.png,1\na.png,2\n", {}, /line 3: a file that was listed before/],
    ["a ragged row", "file,x\na.png,1,9\n", {}, /line 2/],
    ["a repeated column", "file,x,x\na.png,1,9\n", {}, /two columns 'x'/],
  ])("refuses %s", async (_, csv, settings, message) => {
    await put(folder, "labels.csv", csv);
    await expect(listItems(open(settings))).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringMatching(message),
    });
  });

  it("needs the file that the settings name", async () => {
    await expect(listItems(open({ labels: join(folder, "other.csv") }))).rejects.toMatchObject({
      code: "config-missing",
    });
  });

  it("tells a file that is listed but absent as missing", async () => {
    await put(folder, "labels.csv", "file\ngone.png\n");
    const source = open();
    await expect(source.read(await item(source, "gone.png"))).rejects.toMatchObject({ reason: "missing" });
  });
});
