import { describe, expect, it } from "vitest";
import { Attacker } from "./attacker.js";
import { type Observed, observe, observedMembers, type Setting } from "./observed-attempt.js";
import { byteChiSquare, chiSquareLimit } from "./uniformity.js";

/**
 * Invariant I7: whoever has the coordinator's disk, every message and the secrets of c colluders cannot make any honest
 * upload, or any sum of fewer honest uploads than all, other than uniform.
 */

const full = (setting: Pick<Setting, "members" | "colluders" | "dropped">): Setting => {
  return { ...setting, attempt: 1, until: "unmask" };
};

/** Every proper part of a small cohort; of a large one each site, each pair of neighbours, and all but one. */
function parts(honest: readonly string[]): string[][] {
  if (honest.length <= 5) {
    return Array.from({ length: 2 ** honest.length - 2 }, (_, i) => honest.filter((_site, at) => ((i + 1) >> at) & 1));
  }
  return honest.flatMap((site, i) => [[site], honest.slice(i, i + 2), honest.filter((other) => other !== site)]);
}

function expectUniform({ knows, honest }: Observed): void {
  const attacker = new Attacker(knows);
  for (const part of parts(honest)) expect(byteChiSquare(attacker.residual(part))).toBeLessThan(chiSquareLimit);
}

describe("what a coordinator and c colluders have", () => {
  it.each([
    [3, 0, 0],
    [3, 0, 1],
    [3, 1, 0],
    [5, 1, 0],
    [5, 1, 1],
    [20, 4, 0],
    [20, 4, 3],
  ])("of %d sites, with %d colluders and %d lost, leaves every honest part of the sum uniform", async (n, c, lost) => {
    const observed = await observe(full({ members: observedMembers(n), colluders: c, dropped: lost }));
    expectUniform(observed);
    // The oracle is not blind: the sum of all, which the coordinator shall see, is not uniform.
    const attacker = new Attacker(observed.knows);
    expect(byteChiSquare(attacker.residual(observed.honest))).toBeGreaterThan(10 * chiSquareLimit);
  });

  it("of two attempts, the first of them lost after the upload, tells nothing more", async () => {
    const members = observedMembers(5);
    const setting = { members, colluders: 1, dropped: 0 };
    const first = await observe({ ...setting, attempt: 1, until: "upload" });
    expectUniform(first);
    const aborted = members.map((member) => ({ ...member, records: new Map<string, string>() }));
    const second = await observe({ ...setting, members: aborted, attempt: 2, until: "unmask" });
    expectUniform(second);
    const [one, other] = [new Attacker(first.knows), new Attacker(second.knows)];
    for (const part of parts(first.honest)) {
      const difference = subtract(one.residual(part), other.residual(part));
      expect(byteChiSquare(difference)).toBeLessThan(chiSquareLimit);
    }
  });

  it("is seen through at once where sites give shares of both kinds away", async () => {
    const { knows, honest } = await observe({
      ...full({ members: observedMembers(5), colluders: 1, dropped: 0 }),
      bothKinds: true,
    });
    const attacker = new Attacker(knows);
    for (const site of honest) expect(byteChiSquare(attacker.residual([site]))).toBeGreaterThan(10 * chiSquareLimit);
  });
});

function subtract(a: Buffer, b: Buffer): Buffer {
  const difference = Buffer.alloc(a.length);
  for (let at = 0; at < a.length; at += 4) difference.writeInt32LE((a.readInt32LE(at) - b.readInt32LE(at)) | 0, at);
  return difference;
}
