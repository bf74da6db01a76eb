import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { ManualClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAgentRoster } from "./agent-roster.js";
import { RecordedTrail } from "./audit/test-log.js";
import { siteHome } from "./home.js";
import { examplePolicy } from "./test-plans.js";

let directory: string;
let lasting: boolean;
let asked: number;
let failure: ConsiliumError;
let warned: unknown[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "agent-roster-"));
  [lasting, asked, warned] = [false, 0, []];
  failure = new ConsiliumError("unreachable", "14 UNAVAILABLE: name resolution");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const clock = new ManualClock(0);
const logger: Logger = { ...silentLogger, warn: (event, fields) => void warned.push([event, fields]) };

async function minutes(count: number): Promise<void> {
  const { stop } = openAgentRoster({
    ...{ home: siteHome(directory), enrolment: { siteId: "a", federation: "demo" }, identity: IdentityKey.generate() },
    ...{ clock, logger, metrics: { rosterRefused: () => {} } },
    audit: { trail: new RecordedTrail(), loadPolicy: () => examplePolicy },
    client: {
      fetchRosters: () => {
        asked++;
        return Promise.reject(failure);
      },
    },
    reachability: {
      get lasting() {
        return lasting;
      },
    },
  });
  for (let minute = 0; minute < count; minute++) {
    await setImmediate();
    clock.advance(60_000);
  }
  await setImmediate();
  stop();
}

describe("the roster of a running agent", () => {
  it("is asked for each minute, and why there is no connection is not said here as well", async () => {
    await minutes(3);
    expect([asked, warned]).toEqual([4, []]);
  });

  it("is not asked for while the site is shut out, since that would knock again", async () => {
    lasting = true;
    await minutes(3);
    expect(asked).toBe(0);
  });

  it("is told of where it cannot be read", async () => {
    failure = new ConsiliumError("roster-refused", "the roster cannot be read: it is not JSON");
    await minutes(0);
    expect(warned).toEqual([["roster-not-fetched", { code: "roster-refused", reason: failure.message }]]);
  });
});
