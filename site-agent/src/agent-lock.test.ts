import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockHolder, lockHome } from "./agent-lock.js";

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "agent-lock-")), "agent.lock");
});
afterEach(() => rmSync(join(path, ".."), { recursive: true, force: true }));

describe("lockHome", () => {
  it("keeps a second agent out until the first gives the lock back", () => {
    const unlock = lockHome(path);
    expect(lockHolder(path)).toBe(process.pid);
    expect(() => lockHome(path)).toThrow(expect.objectContaining({ code: "already-exists" }));
    unlock();
    expect(lockHolder(path)).toBeUndefined();
    lockHome(path)();
  });

  it.each([
    ["of a process that is gone", "4194000 1"],
    ["of a process whose id is used again", `${process.pid} 1`],
    ["that is empty", ""],
    ["that is damaged", "hello"],
  ])("takes over a lock %s", (_what, text) => {
    writeFileSync(path, text);
    const unlock = lockHome(path);
    expect(lockHolder(path)).toBe(process.pid);
    unlock();
  });
});
