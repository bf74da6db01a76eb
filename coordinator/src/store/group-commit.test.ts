import { expect, it } from "vitest";
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
