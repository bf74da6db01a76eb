import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import BetterSqlite from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { openBeside, openDatabase } from "./database.js";
import { lockHome } from "./lock.js";
import { migrate, migrations } from "./migrations.js";
import type { PersonCertificate, PersonStore } from "./person-store.js";
import { createPersonStore } from "./sqlite-person-store.js";

let store: PersonStore;

beforeEach(() => {
  store = createPersonStore(openDatabase(":memory:", 0));
});

const row = (serial: string, changes: Partial<PersonCertificate> = {}): PersonCertificate => ({
  ...{ serial, role: "operator", personId: "ada", issuedAtMs: 10, expiresAtMs: 100, revokedAtMs: null },
  ...changes,
});

const serials = (rows: readonly PersonCertificate[]) => rows.map(({ serial }) => serial);

describe("certificates of people", () => {
  it("are found by their serial number, and listed person by person in the order of issue", () => {
    store.add(row("b", { personId: "ben", role: "researcher" }));
    store.add(row("a2", { issuedAtMs: 20 }));
    store.add(row("a1"));
    expect(serials(store.list())).toEqual(["a1", "a2", "b"]);
    expect(store.find("b")).toEqual(row("b", { personId: "ben", role: "researcher" }));
    expect(store.find("c")).toBeUndefined();
  });

  it("end all together when the person is revoked, and stay listed until they would have expired", () => {
    store.add(row("a1"));
    store.add(row("a2", { expiresAtMs: 200 }));
    store.add(row("b", { personId: "ben" }));
    expect(store.revoke("ada", 50)).toBe("revoked");
    expect(store.listRevoked(60)).toMatchObject([
      { serial: "a1", revokedAtMs: 50 },
      { serial: "a2", revokedAtMs: 50 },
    ]);
    expect(serials(store.listRevoked(100))).toEqual(["a2"]);
    expect(store.find("b")?.revokedAtMs).toBeNull();
    store.revoke("ada", 70);
    expect(store.find("a1")?.revokedAtMs).toBe(50);
  });

  it("of the last operator cannot be revoked: another one's must count", () => {
    store.add(row("a"));
    store.add(row("r", { personId: "ben", role: "researcher" }));
    store.add(row("old", { personId: "eve", expiresAtMs: 40 }));
    store.add(row("gone", { personId: "dan", revokedAtMs: 20 }));
    expect(store.revoke("ada", 50)).toBe("last-operator");
    expect(store.find("a")?.revokedAtMs).toBeNull();
    expect(store.revoke("ben", 50)).toBe("revoked");
    store.add(row("c", { personId: "cleo" }));
    expect(store.revoke("ada", 50)).toBe("revoked");
    expect(store.revoke("cleo", 50)).toBe("last-operator");
    expect(store.revoke("eve", 50)).toBe("revoked");
  });
});

describe("openBeside()", () => {
  const paths = () => {
    const directory = mkdtempSync(join(tmpdir(), "consilium-beside-"));
    return { database: join(directory, "c.db"), lock: join(directory, "c.lock") };
  };

  it("makes the file for its owner alone", () => {
    const place = paths();
    const database = openBeside(place, 0);
    for (const path of [place.database, `${place.database}-wal`]) expect(statSync(path).mode & 0o777).toBe(0o600);
    database.close();
  });

  it("opens a database beside the coordinator that has it, and both see what the other writes", () => {
    const place = paths();
    const lock = lockHome(place.lock);
    const own = openDatabase(place.database, 0);
    const beside = openBeside(place, 0);
    createPersonStore(beside).add(row("a"));
    expect(serials(createPersonStore(own).list())).toEqual(["a"]);
    beside.close();
    own.close();
    lock.release();
  });

  it("does not change the form of a database that an older coordinator is using", () => {
    const place = paths();
    const old = new BetterSqlite(place.database);
    migrate(old, 0, migrations.slice(0, -1));
    const lock = lockHome(place.lock);
    expect(() => openBeside(place, 0)).toThrow(expect.objectContaining({ code: "already-exists" }));
    lock.release();
    const opened = openBeside(place, 0);
    expect(createPersonStore(opened).list()).toEqual([]);
    opened.close();
    old.close();
  });

  it("refuses a database of a newer program, as without a coordinator", () => {
    const place = paths();
    const newer = new BetterSqlite(place.database);
    migrate(newer, 0, [...migrations, "CREATE TABLE future (x INTEGER) STRICT"]);
    newer.close();
    const lock = lockHome(place.lock);
    expect(() => openBeside(place, 0)).toThrow(expect.objectContaining({ code: "storage" }));
    lock.release();
  });
});
