import { describe, expect, it } from "vitest";
import { ListingPace } from "./listing-pace.js";

describe("ListingPace", () => {
  it("lists again at once what is quick, and seldom what takes long", async () => {
    let now = 0;
    const pace = new ListingPace(() => now);
    const listing = (tookMs: number) => pace.pace(async () => (now += tookMs));
    expect(pace.isDue).toBe(true);
    await listing(900);
    expect(pace.isDue).toBe(true);
    await listing(2000);
    now += 99_000;
    expect(pace.isDue).toBe(false);
    now += 1000;
    expect(pace.isDue).toBe(true);
  });

  it("stays due when a listing failed", async () => {
    const pace = new ListingPace(() => 0);
    await expect(pace.pace(() => Promise.reject(new Error("unmounted")))).rejects.toThrow("unmounted");
    expect(pace.isDue).toBe(true);
  });
});
