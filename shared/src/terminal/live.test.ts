import { describe, expect, it } from "vitest";
import { LiveBlock } from "./live.js";

function recorder(shape: { isTTY?: boolean; columns?: number; rows?: number } = {}) {
  const written: string[] = [];
  return { ...shape, written, write: (text: string) => written.push(text) };
}

describe("LiveBlock on a terminal", () => {
  it("repaints its lines in place", () => {
    const stream = recorder({ isTTY: true, columns: 40, rows: 10 });
    const block = new LiveBlock(stream);
    block.show({ lines: ["one", "two"], summary: ["not shown"] });
    block.show({ lines: ["three"], summary: [] });
    expect(stream.written).toEqual(["one\ntwo\n", "\u001b[2A\r\u001b[0Jthree\n"]);
  });

  it("puts a lasting line above the block and repaints below it", () => {
    const stream = recorder({ isTTY: true, columns: 40 });
    const block = new LiveBlock(stream);
    block.show({ lines: ["one"], summary: [] });
    block.log("connection lost");
    block.show({ lines: ["one"], summary: [] });
    expect(stream.written.slice(1)).toEqual(["\u001b[1A\r\u001b[0Jconnection lost\n", "one\n"]);
  });

  it("never grows beyond the screen, or lines beyond its width", () => {
    const stream = recorder({ isTTY: true, columns: 21, rows: 4 });
    new LiveBlock(stream).show({ lines: ["a".repeat(30), "b", "c", "d"], summary: [] });
    expect(stream.written).toEqual([`${"a".repeat(19)}…\nb\n… 2 more lines\n`]);
  });

  it("assumes a usual screen where the terminal does not know its size", () => {
    const stream = recorder({ isTTY: true, columns: 0, rows: 0 });
    new LiveBlock(stream).show({ lines: ["a".repeat(79), "b", "c"], summary: [] });
    expect(stream.written).toEqual([`${"a".repeat(79)}\nb\nc\n`]);
  });

  it("leaves the last picture standing when it ends", () => {
    const stream = recorder({ isTTY: true });
    const block = new LiveBlock(stream);
    block.show({ lines: ["one"], summary: [] });
    block.end();
    block.show({ lines: ["two"], summary: [] });
    expect(stream.written).toEqual(["one\n", "two\n"]);
  });
});

describe("LiveBlock elsewhere", () => {
  it("prints each summary line once while it stands, and no control sequence", () => {
    const stream = recorder();
    const block = new LiveBlock(stream);
    block.show({ lines: ["picture"], summary: ["round 1: training"] });
    block.show({ lines: ["picture"], summary: ["round 1: training", "a refused"] });
    block.show({ lines: ["picture"], summary: ["round 1: sharing"] });
    block.show({ lines: ["picture"], summary: ["round 1: training"] });
    expect(stream.written).toEqual(["round 1: training\n", "a refused\n", "round 1: sharing\n", "round 1: training\n"]);
  });
});
