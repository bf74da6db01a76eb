import { ManualClock } from "@consilium/shared/clock.js";
import { describe, expect, it } from "vitest";
import { DirectiveGate, mostDirectivesAMinute } from "./directive-gate.js";

function surroundings() {
  const clock = new ManualClock(1_000_000);
  const surplus: boolean[] = [];
  const gate = new DirectiveGate({ clock, onSurplus: ({ isFirst }) => surplus.push(isFirst) });
  const admitted = (kind: "plan" | "withdrawal", count: number) =>
    Array.from({ length: count }, () => gate.admits(kind)).filter(Boolean).length;
  return { clock, surplus, admitted };
}

describe("the gate for directives", () => {
  it("lets in so many of each kind a minute, and tells of the first that is kept out", () => {
    const { surplus, admitted } = surroundings();
    expect(admitted("plan", mostDirectivesAMinute + 3)).toBe(mostDirectivesAMinute);
    expect(surplus).toEqual([true, false, false]);
    expect(admitted("withdrawal", 5)).toBe(5);
    expect(surplus).toHaveLength(3);
  });

  it("opens again with the next minute, also where the clock was set back", () => {
    const { clock, surplus, admitted } = surroundings();
    admitted("plan", mostDirectivesAMinute + 1);
    clock.advance(59_999);
    expect(admitted("plan", 1)).toBe(0);
    clock.advance(1);
    expect(admitted("plan", mostDirectivesAMinute + 1)).toBe(mostDirectivesAMinute);
    expect(surplus).toEqual([true, false, true]);
    clock.advance(-3_600_000);
    expect(admitted("plan", 1)).toBe(1);
  });
});
