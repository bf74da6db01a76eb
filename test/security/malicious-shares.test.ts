import { BadShare } from "@consilium/shared/secagg/seal.js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { HostileFederation } from "../support/hostile-federation.js";
import { beginParts, dropsNoted, finish, playOut, type Ready, withNoise } from "../support/hostile-rounds.js";

const names = ["east", "north", "south", "upper", "west"];
let federation: HostileFederation;
beforeAll(async () => {
  federation = await HostileFederation.start(names);
}, 60_000);
afterEach(() => federation.stopRuns());
afterAll(() => federation.stop(), 20_000);

/** What the agent reports when its session throws this. */
async function accuse({ part, delivered }: Ready): Promise<void> {
  let thrown: unknown;
  try {
    part.masked(delivered.delivered);
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof BadShare)) throw new Error("the share was opened", { cause: thrown });
  await part.fail(thrown.code, thrown.author);
}

describe("a site that deals shares which do not open", () => {
  it("K: to every site: it is left out, and the others close the round in the next attempt", async () => {
    const runId = await federation.launch();
    const victims = await withNoise(await beginParts(federation, runId), 4);
    for (const victim of victims) await accuse(victim);
    expect(dropsNoted(federation, runId)).toContainEqual({ siteId: "east", reason: "bad-share" });
    const [, ...honest] = federation.sites;
    await playOut(await Promise.all(honest.map((site) => site.begin(runId, { attempt: 2 }))));
    expect((await federation.committed(runId)).cohort).toEqual(names.slice(1));
  }, 30_000);

  it("K: to one site: the round closes without that one, and nobody is left out on one site's word", async () => {
    const runId = await federation.launch({ rounds: 2 });
    const parts = await beginParts(federation, runId);
    const [north, ...others] = await withNoise(parts, 1);
    await accuse(north!);
    await parts[0]!.fail("internal");
    await finish(others);
    expect((await federation.committed(runId)).cohort).toEqual(["south", "upper", "west"]);
    expect(dropsNoted(federation, runId)).not.toContainEqual({ siteId: "east", reason: "bad-share" });
    await playOut(await beginParts(federation, runId, { round: 2 }));
    expect((await federation.committed(runId, 2)).cohort).toEqual(names);
  }, 30_000);
});
