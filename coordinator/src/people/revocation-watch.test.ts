import { ManualClock } from "@consilium/shared/clock.js";
import { expect, it } from "vitest";
import { openDatabase } from "../store/database.js";
import { createPersonStore } from "../store/sqlite-person-store.js";
import { RevocationWatch } from "./revocation-watch.js";

const dayMs = 86_400_000;

it("tells within two seconds of what was revoked since it was made, once, and nothing after its end", () => {
  const clock = new ManualClock(0);
  const store = createPersonStore(openDatabase(":memory:", 0));
  for (const id of ["ada", "ben", "cleo", "dan"]) {
    const dates = { issuedAtMs: 0, expiresAtMs: dayMs, revokedAtMs: null };
    store.add({ serial: id, personId: id, role: "operator", ...dates });
  }
  store.revoke("ada", 0);
  const heard: string[][] = [];
  const watch = new RevocationWatch(store, clock);
  store.revoke("ben", 0);
  watch.start((revoked) => heard.push(revoked.map(({ personId }) => personId)));
  clock.advance(2000);
  expect(heard).toEqual([["ben"]]);
  clock.advance(10_000);
  store.revoke("cleo", clock.now());
  clock.advance(2000);
  expect(heard).toEqual([["ben"], ["cleo"]]);
  watch.stop();
  store.add({ serial: "eve", personId: "eve", role: "operator", issuedAtMs: 0, expiresAtMs: dayMs, revokedAtMs: 1 });
  clock.advance(10_000);
  expect(heard).toHaveLength(2);
});
