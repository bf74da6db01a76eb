import { describe, expect, it } from "vitest";
import { ManualClock } from "./clock.js";

describe("ManualClock", () => {
  it("fires timers in order as time passes, and not those cancelled", () => {
    const clock = new ManualClock(1000);
    const fired: string[] = [];
    clock.schedule(1300, () => fired.push(`late at ${clock.now()}`));
    clock.schedule(1100, () => fired.push(`early at ${clock.now()}`));
    const cancel = clock.schedule(1200, () => fired.push("cancelled"));
    cancel();
    clock.advance(500);
    expect(fired).toEqual(["early at 1100", "late at 1300"]);
    expect(clock.now()).toBe(1500);
  });

  it("fires a timer that a timer set", () => {
    const clock = new ManualClock();
    let count = 0;
    const again = () => {
      count += 1;
      clock.schedule(clock.now() + 10, again);
    };
    clock.schedule(10, again);
    clock.advance(35);
    expect(count).toBe(3);
  });
});
