import { describe, expect, it } from "vitest";
import type { Admin, SiteSummary } from "../rpc/admin-types.js";
import { runCommandLine } from "./program.js";
import { profileFolder, testSurroundings } from "./test-surroundings.js";

async function run(admin: Partial<Admin>, ...parameters: string[]) {
  const test = testSurroundings({ admin });
  const exitCode = await runCommandLine([...parameters, "--profile", profileFolder()], test.surroundings, "0");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

const site: SiteSummary = {
  siteId: "hospital-a",
  status: "enrolled",
  attached: true,
  lastSeenMs: Date.UTC(2025, 0, 1),
  agentVersion: "0.1.0",
  identityFingerprint: "ab".repeat(32),
  certificateExpiresMs: Date.UTC(2026, 0, 1),
};

describe("consilium site", () => {
  const asked: unknown[] = [];
  const inviteSite: Admin["inviteSite"] = async (request) => {
    asked.push(request);
    return { siteId: request.siteId, token: "csl1.token", expiresAtMs: Date.UTC(2025, 0, 4) };
  };

  it("invites with the token on the first line and the command to hand over", async () => {
    const { exitCode, stdout } = await run({ inviteSite }, "site", "invite", "hospital-a");
    expect(exitCode).toBe(0);
    expect(asked.at(-1)).toEqual({ siteId: "hospital-a", validHours: 72 });
    expect(stdout.split("\n")[0]).toBe("csl1.token");
    expect(stdout).toContain("until 2025-01-04 00:00:00Z");
    expect(stdout).toContain("  consilium-agent join csl1.token\n");
  });

  it("gives scripts the invitation", async () => {
    const { stdout } = await run({ inviteSite }, "site", "invite", "hospital-a", "--valid-hours", "5", "--json");
    expect(asked.at(-1)).toMatchObject({ validHours: 5 });
    expect(JSON.parse(stdout)).toMatchObject({ token: "csl1.token", joinCommand: "consilium-agent join csl1.token" });
  });

  it("lists sites", async () => {
    const { stdout } = await run({ listSites: async () => [site] }, "site", "list");
    expect(stdout).toContain(
      "hospital-a  enrolled  yes       1 min 00 s ago  0.1.0  2026-01-01 00:00:00Z  abababab abababab ",
    );
  });

  it("says how to begin when there is none", async () => {
    expect((await run({ listSites: async () => [] }, "site", "list")).stdout).toContain("consilium site invite");
  });

  it("revokes", async () => {
    const revokeSite: Admin["revokeSite"] = async (siteId) => ({ ...site, siteId, status: "revoked" });
    expect((await run({ revokeSite }, "site", "revoke", "hospital-a")).stdout).toContain("site hospital-a is revoked");
  });
});
