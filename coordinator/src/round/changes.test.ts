import { describe, expect, it } from "vitest";
import { Changes } from "./changes.js";

describe("Changes", () => {
  it("wakes everyone who watches the run, once", async () => {
    const changes = new Changes();
    const { signal } = new AbortController();
    const watching = [changes.next("a", signal), changes.next("a", signal)];
    changes.notify("b");
    changes.notify("a");
    await Promise.all(watching);
    expect(changes.size).toBe(0);
  });

  it("forgets a run that nobody watches any more, also one that never was", async () => {
    const changes = new Changes();
    const [first, second] = [new AbortController(), new AbortController()];
    const watching = [changes.next("no-such-run", first.signal), changes.next("no-such-run", second.signal)];
    first.abort();
    expect(changes.size).toBe(1);
    second.abort();
    await Promise.all(watching);
    expect(changes.size).toBe(0);
  });
});
