import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@consilium/shared/clock.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { homePaths } from "./config.js";
import { initCoordinator } from "./init.js";
import { rotateAuthority } from "./rotate-authority.js";
import { openDatabase } from "./store/database.js";
import { createSiteStore } from "./store/sqlite-site-store.js";

const directory = mkdtempSync(join(tmpdir(), "rotate-authority-"));
const home = join(directory, "home");

// Four keys, on a machine that may have more to do.
beforeAll(() => initCoordinator({ home, federation: "demo" }), 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Enrols a site at once. @returns when its certificate expires */
function enrol(validForMs: number): number {
  const [tokenHash, siteId, nowMs] = ["of the invitation", "north", Date.now()];
  const expiresAtMs = nowMs + validForMs;
  const database = openDatabase(homePaths(home).database, nowMs);
  const store = createSiteStore(database);
  const open = { consumedAtMs: null, requestDigest: null, certificatePem: null };
  store.addInvitation({ tokenHash, siteId, createdAtMs: nowMs, expiresAtMs, ...open });
  const times = { issuedAtMs: nowMs, expiresAtMs, revokedAtMs: null };
  const certificate = { serial: "a", siteId, pem: "pem", requestDigest: null, ...times };
  const request = { requestDigest: Buffer.alloc(32), identityKey: Buffer.alloc(32) };
  store.enrol([{ tokenHash, siteId, nowMs, certificate, ...request }]);
  database.close();
  return expiresAtMs;
}

it("lets the older authority count until certificates from before the settings were changed have expired", async () => {
  const expiresAtMs = enrol(30 * 86_400_000);
  const path = homePaths(home).config;
  writeFileSync(path, readFileSync(path, "utf8").replaceAll(": 30d", ": 1d"));
  expect(await rotateAuthority(home, systemClock)).toBe(expiresAtMs);
});
