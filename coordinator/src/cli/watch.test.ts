import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { Output } from "@consilium/shared/terminal/output.js";
import { describe, expect, it } from "vitest";
import type { RunDetail } from "../round/progress.js";
import { roundRecord, runDetail, runSummary } from "./test-surroundings.js";
import { watchRun } from "./watch.js";

/** Each connection yields its details and then fails with its error, or closes. */
interface Connection {
  readonly details?: readonly RunDetail[];
  readonly error?: Error;
}

function watching(connections: readonly Connection[], { json = false, isTTY = false } = {}) {
  const written = { stdout: "", stderr: "" };
  const clock = new ManualClock(0);
  const delays: number[] = [];
  const left = [...connections];
  const stopping = new AbortController();
  const options = {
    runId: "r-1",
    clock,
    random: () => 1,
    signal: stopping.signal,
    output: new Output({
      json,
      stdout: { isTTY, columns: 80, write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text) },
    }),
    wait: async (delayMs: number) => void delays.push(delayMs),
    admin: {
      async *watchRun(): AsyncGenerator<RunDetail> {
        const connection = left.shift();
        yield* connection?.details ?? [];
        if (connection?.error !== undefined) throw connection.error;
      },
    },
  };
  return { options, written, delays, clock, stopping };
}

const down = new ConsiliumError("unreachable", "localhost:7700 cannot be reached.");
const running = runDetail();
const completed = runDetail({ summary: runSummary({ status: "completed", roundsDone: 4 }), history: [roundRecord(1)] });

describe("watchRun", () => {
  it("goes on through restarts of the coordinator and says so once", async () => {
    const { options, written, delays } = watching([
      { details: [running], error: down },
      { error: down },
      {},
      { details: [running, completed] },
    ]);
    expect((await watchRun(options)).summary.status).toBe("completed");
    expect(delays).toEqual([500, 1000, 2000]);
    expect(written.stderr).toBe(
      "localhost:7700 cannot be reached; trying again in 0.5 s, the run goes on meanwhile\nconnected again\n",
    );
    expect(written.stdout).toBe(
      "run derm (r-1) is running\nround 1 of 4 done: loss 4.000, 300 images, 3.0 MiB, 10 s; about 30 s left\nrun derm (r-1) is completed\n",
    );
  });

  it("waits longer each time, and short again after it was connected", async () => {
    const { options, delays } = watching([
      { error: down },
      { error: down },
      { details: [running], error: down },
      { details: [completed] },
    ]);
    await watchRun(options);
    expect(delays).toEqual([500, 1000, 500]);
  });

  it("ends with any other error", async () => {
    const refused = new ConsiliumError("not-authorised", "a site may not watch runs");
    await expect(watchRun(watching([{ error: refused }]).options)).rejects.toBe(refused);
  });

  it("ends as interrupted when the signal fires, whatever the connection then says", async () => {
    const { options, stopping } = watching([{ details: [running], error: down }]);
    stopping.abort();
    await expect(watchRun(options)).rejects.toBeInstanceOf(AbortedError);
  });

  it("writes one JSON line per change, and none when nothing changed", async () => {
    const { options, written } = watching(
      [{ details: [running, running], error: down }, { details: [running, completed] }],
      { json: true },
    );
    await watchRun(options);
    const statuses = written.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).run.status);
    expect(statuses).toEqual(["running", "completed"]);
    expect(written.stderr).toContain("trying again");
  });

  it("repaints on a terminal as time goes by, and no longer than it watches", async () => {
    const { options, written, clock } = watching([{ details: [running, completed] }], { isTTY: true });
    await watchRun(options);
    expect(written.stdout).toContain("\u001b[");
    const before = written.stdout;
    clock.advance(10_000);
    expect(written.stdout).toBe(before);
  });
});
