import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { signRotation } from "@consilium/shared/identity/key-rotation.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { parseSignedRoster, signedRosterBytes, signersOf } from "@consilium/shared/roster/signed-roster.js";
import { beforeEach, describe, expect, it } from "vitest";
import type { Admin } from "../rpc/admin-types.js";
import { runCommandLine } from "./program.js";
import { profileFolder, temporaryFolder, testSurroundings } from "./test-surroundings.js";

let folder: string;
let file: string;

beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder, "roster.json");
});

async function run(parameters: readonly string[], admin: Partial<Admin> = {}) {
  const test = testSurroundings({ admin });
  const exitCode = await runCommandLine(["roster", ...parameters], test.surroundings, "0");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

const newKey = () => formatPublicKey(IdentityKey.generate().publicKey);
const add = (id: string, key = newKey()) => run(["add", file, id, "--key", key, "--organisation", `Hospital ${id}`]);
const read = () => parseSignedRoster(readFileSync(file));

async function keyFile(name: string): Promise<string> {
  const path = join(folder, name);
  await run(["key", path]);
  return path;
}

describe("consilium roster", () => {
  it("makes a key that only its owner reads, and prints what sites pin", async () => {
    const path = join(folder, "ada.pem");
    const { exitCode, stdout } = await run(["key", path, "--json"]);
    expect(exitCode).toBe(0);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
    const { publicKey } = JSON.parse(stdout) as { publicKey: string };
    expect(publicKey).toBe(formatPublicKey((await IdentityKey.load(path)).publicKey));
    expect((await run(["key", path])).exitCode).toBe(2);
  });

  it("goes from an empty roster to one that two have signed", async () => {
    await run(["init", file, "--federation", "skin", "--min-cohort", "4", "--max-colluders", "1"]);
    await add("b");
    await add("a");
    const [ada, ben] = [await keyFile("ada.pem"), await keyFile("ben.pem")];
    await run(["sign", file, "--with", ada]);
    const { exitCode, stdout } = await run(["sign", file, "--with", ben]);
    expect(exitCode).toBe(0);
    expect(stdout.match(/signed by ed25519:/g)).toHaveLength(2);
    const signed = read();
    expect(signed.roster).toMatchObject({ version: 1, floors: { minCohort: 4, maxColluders: 1 } });
    expect(signed.roster.validUntil).toBe("2026-01-01T00:01:00Z");
    expect(signed.roster.sites.map(({ siteId }) => siteId)).toEqual(["a", "b"]);
    expect(signersOf(signed).size).toBe(2);
  });

  it("makes the next version of a signed one, without its signatures", async () => {
    await run(["init", file, "--federation", "skin"]);
    await add("a");
    await run(["sign", file, "--with", await keyFile("ada.pem")]);
    const { stdout } = await run(["remove", file, "a", "--valid-days", "30"]);
    expect(stdout).toMatch(/a +Hospital a +removed/);
    expect(stdout).toContain("not signed yet");
    expect(read()).toMatchObject({ roster: { version: 2 }, signatures: [] });
    expect((await run(["show", file])).stdout).toBe(stdout);
  });

  it("gives a site its new key, by the old key's word or knowingly without", async () => {
    await run(["init", file, "--federation", "skin"]);
    const old = IdentityKey.generate();
    await add("a", formatPublicKey(old.publicKey));
    const key = newKey();
    const word = Buffer.from(signRotation(old, { federation: "skin", siteId: "a", key })).toString("hex");
    const replace = (...more: string[]) => run(["replace", file, "a", "--key", key, ...more]);
    expect(await replace()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("→ give --signature") });
    expect(await replace("--signature", "00")).toMatchObject({ exitCode: 2 });
    const other = await replace("--signature", "0".repeat(128));
    expect(other.exitCode).not.toBe(0);
    expect(other.stderr).toContain("the key of a in the roster did not sign the new one");
    expect((await replace("--signature", word)).stdout).toContain(key);
    expect(read().roster.sites[0]).toMatchObject({ identityKey: key, replaces: { signature: word } });
    const later = newKey();
    expect((await run(["replace", file, "a", "--key", later, "--lost"])).exitCode).toBe(0);
    expect(read().roster.sites[0]).not.toHaveProperty("replaces");
  });

  it("refuses a site id, a key or a file that is none", async () => {
    await run(["init", file, "--federation", "skin"]);
    expect((await run(["init", file, "--federation", "skin"])).stderr).toContain("is there already");
    expect((await add("A B")).stderr).toContain("lower-case letters");
    expect((await add("a", "ed25519:00")).stderr).toContain("64 lower-case hex digits");
    expect((await run(["remove", file, "a"])).exitCode).toBe(4);
    expect((await run(["show", join(folder, "none.json")])).exitCode).toBe(2);
    for (const content of ["{}", Buffer.from("ffd8ffe0", "hex")]) {
      writeFileSync(file, content);
      expect(await run(["show", file])).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining(`${file}: the ro`),
      });
    }
    expect((await run(["sign", file, "--with", file])).exitCode).toBe(2);
  });

  it("says of a key's file that is missing or none what makes one, not how a site joins", async () => {
    await run(["init", file, "--federation", "skin"]);
    const missing = await run(["sign", file, "--with", join(folder, "none.pem")]);
    expect(missing).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("'consilium roster key FILE'") });
    const none = await run(["sign", file, "--with", file]);
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("private key of its holder") });
  });

  it("gives an active site another key only by replace", async () => {
    await run(["init", file, "--federation", "skin"]);
    await add("a");
    const before = read();
    expect(await add("a")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("consilium roster replace") });
    expect(read()).toEqual(before);
  });

  it("shows a damaged signature and ends with a failure, and adds none to it", async () => {
    await run(["init", file, "--federation", "skin"]);
    await run(["sign", file, "--with", await keyFile("ada.pem")]);
    const { roster, signatures } = read();
    const damaged = { roster, signatures: [{ ...signatures[0]!, signature: "0".repeat(128) }] };
    writeFileSync(file, JSON.stringify(damaged));
    expect(await run(["show", file])).toMatchObject({
      exitCode: 6,
      stdout: expect.stringContaining("DAMAGED SIGNATURE"),
      stderr: expect.stringContaining(`${file}: a signature does not hold`),
    });
    expect((await run(["sign", file, "--with", await keyFile("ben.pem")])).exitCode).toBe(6);
    expect(read()).toEqual(damaged);
    expect((await run(["sign", file, "--with", join(folder, "ada.pem")])).exitCode).toBe(0);
    expect(read().signatures).toEqual(signatures);
  });

  it("hands over and takes back what was signed", async () => {
    await run(["init", file, "--federation", "skin"]);
    await run(["sign", file, "--with", await keyFile("ada.pem")]);
    const document = signedRosterBytes(read());
    const profile = ["--profile", profileFolder()];
    const handed: Uint8Array[] = [];
    const publishRoster: Admin["publishRoster"] = async (bytes) => {
      handed.push(bytes);
      return { version: 1, digest: "ab".repeat(32), activeSites: 0, signatures: 1 };
    };
    const { stdout } = await run(["publish", file, ...profile], { publishRoster });
    expect(handed).toEqual([document]);
    expect(stdout).toMatch(/version 1 is published: \d+ sites?, \d+ signatures?, SHA-256/);
    const copy = join(folder, "copy.json");
    const fetchRoster = async () => document;
    expect((await run(["fetch", copy, ...profile], { fetchRoster })).exitCode).toBe(0);
    expect(readFileSync(copy, "utf8")).toBe(readFileSync(file, "utf8"));
    const none = await run(["fetch", join(folder, "x.json"), ...profile], {
      fetchRoster: async () => new Uint8Array(),
    });
    expect(none).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("no roster yet") });
  });
});
