import { ManualClock } from "@consilium/shared/clock.js";
import type Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDatabase } from "../store/database.js";
import type { SiteStore } from "../store/site-store.js";
import { createSiteStore } from "../store/sqlite-site-store.js";
import { SiteRegistry } from "./registry.js";

let database: Database.Database;
let store: SiteStore;
let registry: SiteRegistry;

beforeEach(() => {
  database = openDatabase(":memory:", 0);
  store = createSiteStore(database);
  registry = new SiteRegistry(store, new ManualClock(1));
  for (const siteId of ["north", "south"]) {
    const addSite = database.prepare("INSERT INTO sites (site_id, identity_key, enrolled_at_ms) VALUES (?, ?, 0)");
    addSite.run(siteId, new Uint8Array(32));
  }
});
afterEach(() => database.close());

const head = (fill: number) => Buffer.alloc(32, fill);

it("keeps the newest head of each site, and names those of attached sites", () => {
  registry.witness("north", head(1));
  registry.witness("north", head(2));
  registry.witness("south", head(3));
  expect(registry.auditWitnesses()).toEqual([]);
  registry.attach("north", "1", () => {});
  expect(registry.auditWitnesses()).toEqual([{ siteId: "north", head: head(2) }]);
  expect(new SiteRegistry(store, new ManualClock(2)).auditWitnesses()).toEqual([]);
  expect(store.findSite("south")?.auditHead).toEqual(head(3));
});

it("passes over what is no hash, and sites that it does not know", () => {
  registry.witness("north", Buffer.alloc(31));
  registry.witness("nobody", head(1));
  expect(store.listSites().map(({ auditHead }) => auditHead)).toEqual([null, null]);
});
