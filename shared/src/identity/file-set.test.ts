import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readOptional, readTogether, writeTogether } from "./file-set.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "consilium-set-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const write = (generation: string) =>
  writeTogether(directory, [
    { name: "key", content: `key ${generation}`, secret: true },
    { name: "certificate", content: `certificate ${generation}` },
  ]);

it("writes, replaces and removes", async () => {
  await write("1");
  await write("2");
  expect(await readTogether(directory, ["certificate", "key"])).toEqual(["certificate 2", "key 2"]);
  expect(statSync(join(directory, "key")).mode & 0o777).toBe(0o600);
  await writeTogether(directory, [{ name: "key", content: undefined }]);
  expect(readdirSync(directory)).toEqual(["certificate"]);
  expect(await readOptional(directory, "key")).toBeUndefined();
});

it("gives the new set as a whole wherever writing was interrupted", async () => {
  await write("1");
  const journal = JSON.stringify([
    { name: "key", content: "key 2" },
    { name: "certificate", content: "certificate 2" },
    { name: "older", content: null },
  ]);
  await writeFile(join(directory, "older"), "older 1");
  for (const done of [[], ["key"], ["key", "certificate"]]) {
    await writeFile(join(directory, "replacing.json"), journal);
    for (const name of done) await writeFile(join(directory, name), `${name} 2`);
    expect(await readTogether(directory, ["key", "certificate"])).toEqual(["key 2", "certificate 2"]);
    expect(await readOptional(directory, "older")).toBeUndefined();
  }
  await write("3");
  expect(existsSync(join(directory, "replacing.json"))).toBe(false);
  expect(await readTogether(directory, ["key", "certificate"])).toEqual(["key 3", "certificate 3"]);
});

it("leaves the old set as it was where the new one cannot be written", async () => {
  await write("1");
  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  rmSync(directory, { recursive: true });
  await expect(write("2")).rejects.toMatchObject({ code: "storage" });
  cpSync(copy, directory, { recursive: true });
  rmSync(copy, { recursive: true });
  expect(readFileSync(join(directory, "key"), "utf8")).toBe("key 1");
});

it("names the file that is missing, and a damaged journal", async () => {
  await expect(readTogether(directory, ["key"])).rejects.toMatchObject({ code: "config-missing" });
  await writeFile(join(directory, "replacing.json"), "{");
  await expect(readTogether(directory, ["key"])).rejects.toMatchObject({ code: "input-unreadable" });
});
