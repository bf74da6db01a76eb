import { ManualClock } from "@consilium/shared/clock.js";
import type Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openDatabase } from "../store/database.js";
import type { SiteStore } from "../store/site-store.js";
import { createSiteStore } from "../store/sqlite-site-store.js";
import { SiteRegistry } from "./registry.js";

let database: Database.Database;
let store: SiteStore;
let registry: SiteRegistry;
let clock: ManualClock;

beforeEach(() => {
  database = openDatabase(":memory:", 0);
  store = createSiteStore(database);
  clock = new ManualClock(1_000);
  registry = new SiteRegistry(store, clock);
  for (const siteId of ["north", "south"]) {
    const addSite = database.prepare("INSERT INTO sites (site_id, identity_key, enrolled_at_ms) VALUES (?, ?, 0)");
    addSite.run(siteId, new Uint8Array(32));
  }
});
afterEach(() => database.close());

const head = (fill: number) => Buffer.alloc(32, fill);

it("keeps the newest head of each site, and names those of attached sites", async () => {
  await Promise.all([
    registry.witness("north", head(1)),
    registry.witness("north", head(2)),
    registry.witness("south", head(3)),
  ]);
  expect(registry.auditWitnesses()).toEqual([]);
  registry.attach("north", "1", () => {});
  expect(registry.auditWitnesses()).toEqual([{ siteId: "north", head: head(2) }]);
  expect(new SiteRegistry(store, new ManualClock(2)).auditWitnesses()).toEqual([]);
  expect(store.findSite("south")?.auditHead).toEqual(head(3));
});

it("passes over what is no hash, and sites that it does not know", async () => {
  await registry.witness("north", Buffer.alloc(31));
  await registry.witness("nobody", head(1));
  expect(store.listSites().map(({ auditHead }) => auditHead)).toEqual([null, null]);
});

it("writes heads twice a second at most, and answers no report before its head is on the disk", async () => {
  const writes = vi.spyOn(store, "keepAuditHeads");
  await registry.witness("north", head(1));
  const answered: number[] = [];
  for (const fill of [2, 3, 2]) void registry.witness("north", head(fill)).then(() => answered.push(fill));
  void registry.witness("south", head(4)).then(() => answered.push(4));
  clock.advance(499);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toEqual([]);
  expect(store.findSite("north")?.auditHead).toEqual(head(1));
  clock.advance(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toHaveLength(4);
  expect(store.listSites().map(({ auditHead }) => auditHead)).toEqual([head(2), head(4)]);
  expect(writes).toHaveBeenCalledTimes(2);
  await registry.witness("south", head(4));
  expect(writes).toHaveBeenCalledTimes(2);
});
