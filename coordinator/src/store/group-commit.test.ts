import { ManualClock } from "@consilium/shared/clock.js";
import { expect, it, vi } from "vitest";
import { GroupCommit } from "./group-commit.js";

it("commits what comes in one turn together, and answers each with its own result", async () => {
  const commits: string[][] = [];
  const group = new GroupCommit((items: readonly string[]) => {
    commits.push([...items]);
    return items.map((item) => item.length);
  });
  expect(await Promise.all([group.add("a"), group.add("bb"), group.add("ccc")])).toEqual([1, 2, 3]);
  expect(await group.add("dddd")).toBe(4);
  expect(commits).toEqual([["a", "bb", "ccc"], ["dddd"]]);
});

it("fails all of a group whose commit fails, and no later one", async () => {
  const group = new GroupCommit((items: readonly string[]) => {
    if (items.includes("bad")) throw new Error("disk full");
    return items;
  });
  const outcomes = await Promise.allSettled([group.add("good"), group.add("bad")]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await group.add("good")).toBe("good");
});

it("keeps its pace, also where the clock is set back", async () => {
  const clock = new ManualClock(10_000);
  const commits: number[] = [];
  const commit = (items: readonly number[]) => {
    commits.push(items.length);
    return items;
  };
  const group = new GroupCommit(commit, { everyMs: 1_000, clock });
  expect(await group.add(1)).toBe(1);
  const [second, third] = [group.add(2), group.add(3)];
  clock.advance(999);
  expect(commits).toEqual([1]);
  clock.advance(1);
  expect(await Promise.all([second, third])).toEqual([2, 3]);
  expect(commits).toEqual([1, 2]);
  vi.spyOn(clock, "now").mockReturnValue(0);
  const fourth = group.add(4);
  clock.advance(1_000);
  expect(await fourth).toBe(4);
});
