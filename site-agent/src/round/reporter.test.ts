import { ManualClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { silentLogger } from "@consilium/shared/log.js";
import { describe, expect, it } from "vitest";
import type { SitePhase, SiteReport } from "./coordinator.js";
import { Reporter } from "./reporter.js";

function report(phase: SitePhase, stepsDone = 0, attempt = 1): SiteReport {
  return { key: { runId: "run-1", round: 1, attempt }, phase, code: "", clause: "", stepsDone, accused: "" };
}

function surroundings(failures: Error[] = []) {
  const clock = new ManualClock();
  const sent: string[] = [];
  const coordinator = {
    async report({ phase, stepsDone }: SiteReport) {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      sent.push(`${phase} ${stepsDone}`);
    },
  };
  const backoff = { initialMs: 1000, maxMs: 1000, random: () => 1 };
  const patience = { clock, backoff, onUnreachable: () => {}, onReached: () => {} };
  return { clock, sent, reporter: new Reporter({ coordinator, patience, logger: silentLogger }) };
}

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe("Reporter", () => {
  it("sends progress now and then, always the newest, and changes of phase at once", async () => {
    const { clock, sent, reporter } = surroundings();
    reporter.tell(report("training", 0));
    await settle();
    for (const steps of [1, 2, 3]) reporter.tell(report("training", steps));
    await settle();
    expect(sent).toEqual(["training 0"]);
    clock.advance(9999);
    await settle();
    expect(sent).toEqual(["training 0"]);
    clock.advance(1);
    await settle();
    expect(sent).toEqual(["training 0", "training 3"]);
    reporter.tell(report("masking", 4));
    await settle();
    expect(sent.at(-1)).toBe("masking 4");
    await reporter.stop();
  });

  it("repeats what was not delivered, with what is newest by then", async () => {
    const lost = () => new ConsiliumError("unreachable", "no answer");
    const { clock, sent, reporter } = surroundings([lost(), lost()]);
    reporter.tell(report("fetching"));
    await settle();
    reporter.tell(report("refused"));
    for (let second = 0; second < 3; second++) {
      clock.advance(1000);
      await settle();
    }
    expect(sent).toEqual(["refused 0"]);
  });

  it("lets go of a report that the coordinator does not want", async () => {
    const { sent, reporter } = surroundings([new ConsiliumError("stale", "the attempt is over")]);
    reporter.tell(report("fetching"));
    await settle();
    reporter.tell(report("done"));
    await settle();
    expect(sent).toEqual(["done 0"]);
  });

  it("stops in the middle of a pause or of a repetition", async () => {
    const { reporter } = surroundings([new ConsiliumError("unreachable", "no answer")]);
    reporter.tell(report("training"));
    await settle();
    await reporter.stop();
  });
});
