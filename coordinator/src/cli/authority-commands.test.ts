import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@consilium/shared/clock.js";
import { loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { parseAuthorities } from "@consilium/shared/identity/certificate-check.js";
import { beforeAll, describe, expect, it } from "vitest";
import { homePaths } from "../config.js";
import { initCoordinator } from "../init.js";
import { lockHome } from "../store/lock.js";
import { runCommandLine } from "./program.js";
import { testSurroundings } from "./test-surroundings.js";

const thirtyDaysMs = 30 * 24 * 3_600_000;
let home: string;

beforeAll(async () => {
  home = join(mkdtempSync(join(tmpdir(), "authority-commands-")), "home");
  await initCoordinator({ home, federation: "demo" });
}, 60_000);

async function run(...parameters: string[]) {
  const test = testSurroundings({ clock: systemClock });
  const code = await runCommandLine(["coordinator", ...parameters, "--home", home], test.surroundings, "0");
  return { code, stdout: test.stdout(), stderr: test.stderr() };
}

describe("consilium coordinator ca rotate, credentials renew", () => {
  it("refuses while the coordinator runs, and changes nothing", async () => {
    const lock = lockHome(homePaths(home).lock);
    const { code, stderr } = await run("ca", "rotate");
    lock.release();
    expect(code).toBe(2);
    expect(stderr).toContain("another coordinator is running");
    expect((await loadAuthority(homePaths(home).authority)).rolloverEndsMs).toBeUndefined();
  });

  it("makes a new authority beside the old one, gives people its certificates, and does it once", async () => {
    const paths = homePaths(home);
    const older = await loadAuthority(paths.authority);
    const began = Date.now();
    const { code, stdout } = await run("ca", "rotate");
    expect(code).toBe(0);
    expect(stdout).toContain(`consilium coordinator credentials renew --home ${home}\n`);
    const newer = await loadAuthority(paths.authority);
    expect(newer.certificatePem).not.toBe(older.certificatePem);
    expect(newer.rolloverEndsMs).toBeGreaterThanOrEqual(began + thirtyDaysMs);
    expect(newer.rolloverEndsMs).toBeLessThan(Date.now() + thirtyDaysMs + 1);

    expect((await run("credentials", "renew")).code).toBe(0);
    for (const directory of [paths.operator, paths.researcher]) {
      const certificate = new X509Certificate(readFileSync(join(directory, "cert.pem")));
      expect(certificate.verify(new X509Certificate(newer.certificatePem).publicKey)).toBe(true);
      expect(parseAuthorities(readFileSync(join(directory, "ca.pem"), "utf8"))).toHaveLength(2);
    }

    const again = await run("ca", "rotate");
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("already changes to a new authority until");
  });
});
