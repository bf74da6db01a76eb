import { describe, expect, it } from "vitest";
import { checkAbortList } from "./message-checks.js";

const about = (attempt: number, siteId = "a") => ({ siteId, attempt, signature: new Uint8Array() });
const check = (...aborts: ReturnType<typeof about>[]) => {
  const wasIn = new Set([1, 3, 4]);
  return () => checkAbortList({ siteId: "a", attempt: 4 }, aborts, (attempt) => wasIn.has(attempt));
};

describe("a site's list of attempts that it gave up", () => {
  it("holds each earlier attempt that it was in at most once", () => {
    expect(check()).not.toThrow();
    expect(check(about(3), about(1))).not.toThrow();
    const badMessage = expect.objectContaining({ code: "update-invalid", reason: "bad-message" });
    expect(check(about(3), about(3))).toThrow(badMessage);
    expect(check(about(1, "b"))).toThrow(badMessage);
    // It was not in the second; the fourth is the one that begins.
    expect(check(about(2))).toThrow(badMessage);
    expect(check(about(4))).toThrow(badMessage);
  });

  it("is looked at no further than to its first fault, however long it is", () => {
    let asked = 0;
    const many = Array.from({ length: 60_000 }, () => about(1));
    const counting = () => checkAbortList({ siteId: "a", attempt: 4 }, many, () => ++asked > 0);
    expect(counting).toThrow("twice");
    expect(asked).toBe(1);
  });
});
