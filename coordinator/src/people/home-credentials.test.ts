import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, systemClock } from "@consilium/shared/clock.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { homePaths } from "../config.js";
import { initCoordinator } from "../init.js";
import { issueAtHome, listAtHome, renewAtHome, revokeAtHome } from "./home-credentials.js";

const dayMs = 86_400_000;
const directory = mkdtempSync(join(tmpdir(), "home-credentials-"));
const home = join(directory, "home");
const place = { home, clock: systemClock };
const adaFolder = join(directory, "ada");

beforeAll(() => initCoordinator({ home, federation: "demo" }), 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const issue = (id: string, role: "operator" | "researcher", folder?: string) =>
  issueAtHome(place, { id, role, folder });
const renew = (id?: string, folder?: string) => renewAtHome(place, { id, folder });
const certificateIn = (folder: string) => new X509Certificate(readFileSync(join(folder, "cert.pem"), "utf8"));
const person = async (id: string) => (await listAtHome(place)).find((one) => one.id === id);

/** In this order: each goes on with what the ones before left. */
describe("people's credentials at a home", () => {
  it("begin with an operator and a researcher, for thirty days", async () => {
    const people = await listAtHome(place);
    expect(people.map(({ id, role, status }) => [id, role, status])).toEqual([
      ["operator", "operator", "valid"],
      ["researcher", "researcher", "valid"],
    ]);
    for (const { expiresAtMs } of people) {
      expect(expiresAtMs).toBeGreaterThan(Date.now() + 29 * dayMs);
      expect(expiresAtMs).toBeLessThanOrEqual(Date.now() + 30 * dayMs);
    }
  });

  it("are made for others, in a folder that has all a command needs", async () => {
    expect(await issue("ada", "researcher", adaFolder)).toMatchObject({ id: "ada", folder: adaFolder });
    const certificate = certificateIn(adaFolder);
    expect(certificate.subjectAltName).toContain("fed://demo/researcher/ada");
    expect(certificate.checkIssued(new X509Certificate(readFileSync(join(adaFolder, "ca.pem"), "utf8")))).toBe(true);
    expect(readFileSync(join(adaFolder, "profile.yaml"), "utf8")).toBe('address: "localhost:7700"\nfederation: demo\n');
    expect(await person("ada")).toMatchObject({ status: "valid", certificates: 1 });
  }, 20_000);

  it.each([
    ["someone who has some", () => issue("ada", "researcher"), "already-exists"],
    ["an id that is someone's in another role", () => issue("ada", "operator"), "already-exists"],
    ["an id that cannot be in a certificate", () => issue("../ada", "researcher"), "config-invalid"],
    ["a folder that holds someone else's", () => issue("eve", "researcher", adaFolder), "already-exists"],
    [
      "a folder whose credentials are of nobody known",
      () => issue("eve", "researcher", directoryWithKey()),
      "already-exists",
    ],
    ["someone who never had any, as a renewal", () => renew("eve"), "not-found"],
  ])(
    "are not made for %s",
    async (_, attempt, code) => {
      const before = await listAtHome(place);
      await expect(attempt()).rejects.toMatchObject({ code, remedy: expect.stringMatching(/./) });
      expect(await listAtHome(place)).toEqual(before);
      expect(certificateIn(adaFolder).subjectAltName).toContain("ada");
    },
    20_000,
  );

  /** What a copy that went wrong may leave: a key alone. */
  function directoryWithKey(): string {
    const folder = mkdtempSync(join(directory, "key-"));
    writeFileSync(join(folder, "key.pem"), "key");
    return folder;
  }

  it("are renewed in the place of the old ones, which stay good", async () => {
    const before = certificateIn(homePaths(home).operator).serialNumber;
    const renewed = await renew();
    expect(renewed.map(({ id }) => id)).toEqual(["operator", "researcher"]);
    expect(certificateIn(homePaths(home).operator).serialNumber).not.toBe(before);
    expect(await person("operator")).toMatchObject({ status: "valid", certificates: 2 });
    expect(await person("ada")).toMatchObject({ certificates: 1 });
    await renew("ada", adaFolder);
    expect(await person("ada")).toMatchObject({ certificates: 2 });
  }, 30_000);

  it("of the only operator are not revoked, and those of one of two are, for good", async () => {
    await expect(revokeAtHome(place, "operator")).rejects.toMatchObject({
      code: "policy-refused",
      remedy: expect.stringContaining("credentials issue <id> --role operator"),
    });
    expect(await person("operator")).toMatchObject({ status: "valid" });
    await issue("ben", "operator");
    expect(existsSync(join(homePaths(home).credentials, "ben", "profile.yaml"))).toBe(true);
    expect(await revokeAtHome(place, "operator")).toMatchObject({ status: "revoked", certificates: 0 });
    expect(await revokeAtHome(place, "operator")).toMatchObject({ status: "revoked" });
    await expect(revokeAtHome(place, "ben")).rejects.toMatchObject({ code: "policy-refused" });
    await expect(revokeAtHome(place, "eve")).rejects.toMatchObject({ code: "not-found" });
    await expect(renew("operator")).rejects.toMatchObject({ code: "stale", remedy: expect.stringContaining("issue") });
    expect((await renew()).map(({ id }) => id)).toEqual(["ben", "researcher"]);
  }, 30_000);

  it("come back by being issued anew, and only the new ones count", async () => {
    await issue("operator", "operator");
    expect(await person("operator")).toMatchObject({ status: "valid", certificates: 1 });
  }, 20_000);

  it("that have expired are said to be so, and are renewed", async () => {
    const later = { home, clock: new ManualClock(Date.now() + 40 * dayMs) };
    expect((await listAtHome(later)).map(({ status }) => status)).toEqual(Array(4).fill("expired"));
    const [renewed] = await renewAtHome(later, { id: "ada", folder: adaFolder });
    expect(renewed!.expiresAtMs).toBeGreaterThan(Date.now() + 69 * dayMs);
  }, 20_000);
});
