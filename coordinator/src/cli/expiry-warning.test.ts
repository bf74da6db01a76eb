import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "./program.js";
import { profileFolder, testSurroundings } from "./test-surroundings.js";

const dayMs = 86_400_000;
const directory = mkdtempSync(join(tmpdir(), "expiry-"));
const issuedAtMs = Date.UTC(2026, 0, 1);
let certificates: { month: string; day: string };

beforeAll(async () => {
  const clock = new ManualClock(issuedAtMs);
  const authority = await createAuthority({ directory, federation: "skin", clock });
  const { publicKeyPem } = await generateTlsKey();
  const identity = { federation: "skin", role: "researcher", id: "ada" } as const;
  const issue = (validForMs: number) => authority.issueLeaf({ identity, publicKeyPem, validForMs }).certificatePem;
  certificates = { month: issue(30 * dayMs), day: issue(dayMs) };
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function listRuns(certificate: string, afterMs: number, ...options: string[]) {
  const profile = profileFolder();
  writeFileSync(join(profile, "cert.pem"), certificate);
  const admin = { listRuns: async () => [] };
  const test = testSurroundings({ admin, clock: new ManualClock(issuedAtMs + afterMs) });
  const code = await runCommandLine(["run", "list", "--profile", profile, ...options], test.surroundings, "0");
  return { code, profile, stdout: test.stdout(), stderr: test.stderr() };
}

describe("a command whose credentials end soon", () => {
  it("says so once on standard error, and does its work", async () => {
    const { code, profile, stdout, stderr } = await listRuns(certificates.month, 24 * dayMs);
    expect(stderr).toMatch(/^warning: the certificate in .* is good until 2026-01-31 .* only\n {2}→ .*renew ada'\n$/);
    expect(stderr).toContain(profile);
    expect(stdout).toContain("no runs yet");
    expect(code).toBe(0);
  });

  it.each([
    ["more than a week before", () => listRuns(certificates.month, 22 * dayMs)],
    ["for a script", () => listRuns(certificates.month, 24 * dayMs, "--json")],
    ["after the end, which the coordinator tells", () => listRuns(certificates.month, 31 * dayMs)],
    ["early in a life that is shorter than a week", () => listRuns(certificates.day, dayMs / 2)],
    ["where the certificate cannot be read", () => listRuns("none", 0)],
  ])("says nothing %s", async (_, command) => {
    expect(await command()).toMatchObject({ code: 0, stderr: "" });
  });

  it("says so in the last third of a short life", async () => {
    expect((await listRuns(certificates.day, 0.9 * dayMs)).stderr).toContain("warning:");
  });
});
