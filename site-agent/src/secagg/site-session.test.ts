import { generateKeyPairSync, sign } from "node:crypto";
import { systemEntropy } from "@consilium/shared/entropy.js";
import type { Delivered, KeyAdvert, ReceivedPlan, RoundPlan, SealedShare } from "@consilium/shared/protocol.js";
import { describe, expect, it } from "vitest";
import type { Contribution } from "../update/delta.js";
import { SiteSession } from "./site-session.js";

const siteIds = ["a", "aa", "b", "c"];

function identity() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { publicKey: raw, sign: (message: Uint8Array) => sign(null, message, privateKey) };
}

function received(facts: Partial<RoundPlan> = {}): ReceivedPlan {
  const plan: RoundPlan = {
    federation: "test",
    key: { runId: "run", round: 0, attempt: 0 },
    runConfigJson: "{}",
    checkpointDigest: new Uint8Array(32),
    checkpointBytes: 0,
    layoutDigest: new Uint8Array(32),
    dimension: 6,
    tensorClips: [0.1, 0.2],
    l2Clip: 10,
    weightCap: 100,
    lanes: ["weight", "loss", "steps", "clipped"],
    cohortSize: 10,
    colluders: 0,
    minCohort: 2,
    firstStep: 0,
    trainingWindowMs: 1,
    stageWindowMs: 1,
    previousResultDigest: new Uint8Array(0),
    rosterVersion: 1,
    rosterDigest: new Uint8Array(32).fill(9),
    launchedBy: "fed://test/researcher/r1",
    ...facts,
  };
  return { plan, body: Buffer.from(JSON.stringify(facts)), signature: new Uint8Array(64) };
}

function open(siteId: string, facts: Partial<RoundPlan> = {}, floors = { minCohort: 2, maxColluders: 0 }): SiteSession {
  return new SiteSession({ received: received(facts), siteId, identity: identity(), entropy: systemEntropy, floors });
}

const contribution: Contribution = {
  delta: new Float32Array([0.1, 0, -0.1, 0.05, 0.01, 1]),
  tensorSizes: [4, 2],
  sampleCount: 40,
  meanLoss: 2,
  figures: {},
  steps: 5,
};

interface Cohort {
  readonly sessions: Map<string, SiteSession>;
  readonly adverts: KeyAdvert[];
}

function advertised(facts: Partial<RoundPlan> = {}): Cohort {
  const sessions = new Map(siteIds.map((siteId) => [siteId, open(siteId, facts)]));
  return { sessions, adverts: [...sessions.values()].map((session) => session.advertise()) };
}

interface SharedCohort extends Cohort {
  readonly shares: SealedShare[];
  readonly deliveryFor: (siteId: string, sharers?: readonly string[]) => Delivered;
}

function shared(facts: Partial<RoundPlan> = {}): SharedCohort {
  const cohort = advertised(facts);
  const shares = [...cohort.sessions.values()].flatMap((session) => session.share(cohort.adverts));
  const deliveryFor = (siteId: string, sharers: readonly string[] = siteIds) => ({
    sharers,
    shares: shares.filter((share) => share.toSite === siteId && sharers.includes(share.fromSite)),
  });
  return { ...cohort, shares, deliveryFor };
}

function masked(facts: Partial<RoundPlan> = {}) {
  const cohort = shared(facts);
  const session = cohort.sessions.get("a")!;
  const upload = session.mask(cohort.deliveryFor("a"), contribution);
  return { ...cohort, session, upload };
}

async function bytesOf(upload: { chunks(): AsyncIterable<Uint8Array> }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of upload.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const coded = (code: string) => expect.objectContaining({ code });

describe("SiteSession plan", () => {
  it("refuses floors below the site's own", () => {
    expect(() => open("a", {}, { minCohort: 3, maxColluders: 0 })).toThrow(coded("policy-refused"));
    expect(() => open("a", {}, { minCohort: 2, maxColluders: 1 })).toThrow(coded("policy-refused"));
    expect(() => open("a", { colluders: 1, minCohort: 2 })).toThrow(coded("policy-refused"));
  });

  it.each([0, -1, 1.5, 2 ** 53])("refuses the weight cap %d", (weightCap) => {
    expect(() => open("a", { weightCap })).toThrow(coded("plan-invalid"));
  });

  it("refuses lanes that it does not know", () => {
    expect(() => open("a", { lanes: ["weight", "names"] })).toThrow(coded("plan-invalid"));
  });
});

describe("SiteSession share", () => {
  it("gives one sealed share for every other site, the same each time", () => {
    const { sessions, adverts } = advertised();
    const session = sessions.get("a")!;
    const shares = session.share(adverts);
    expect(shares.map((share) => share.toSite)).toEqual(["aa", "b", "c"]);
    expect(session.share([...adverts].reverse())).toEqual(shares);
    expect(session.advertise()).toEqual(adverts[0]);
  });

  it("refuses a cohort that is too small or larger than planned", () => {
    const { sessions, adverts } = advertised();
    expect(() => sessions.get("a")!.share(adverts.slice(0, 2))).toThrow(coded("policy-refused"));
    const planned = advertised({ cohortSize: 3 });
    expect(() => planned.sessions.get("a")!.share(planned.adverts)).toThrow(coded("policy-refused"));
  });

  it("refuses a list without its own advert or with another in its place", () => {
    const { sessions, adverts } = advertised();
    const session = sessions.get("a")!;
    expect(() => session.share(adverts.slice(1))).toThrow(coded("message-conflict"));
    const imposter = open("a").advertise();
    expect(() => session.share([imposter, ...adverts.slice(1)])).toThrow(coded("message-conflict"));
  });

  it("refuses adverts that are altered, repeated or of another plan", () => {
    const { sessions, adverts } = advertised();
    const session = sessions.get("a")!;
    const altered = { ...adverts[1]!, maskPublicKey: adverts[2]!.maskPublicKey };
    expect(() => session.share([adverts[0]!, altered, ...adverts.slice(3)])).toThrow(coded("share-invalid"));
    expect(() => session.share([...adverts, adverts[1]!])).toThrow(coded("share-invalid"));
    const elsewhere = open("d", { l2Clip: 11 }).advertise();
    expect(() => session.share([...adverts, elsewhere])).toThrow(/"d" is not signed/);
  });

  it("refuses a second, different list, and any request out of order", () => {
    const { sessions, adverts } = shared();
    const session = sessions.get("a")!;
    expect(() => session.share(adverts.slice(0, 3))).toThrow(coded("message-conflict"));
    expect(() => session.reveal(siteIds)).toThrow(coded("message-conflict"));
    expect(() => open("x").share(adverts)).toThrow(coded("message-conflict"));
  });
});

describe("SiteSession mask", () => {
  it("gives identical bytes for a repeated delivery", async () => {
    const { session, upload, deliveryFor } = masked();
    expect(upload.words).toBe(10);
    const again = session.mask(deliveryFor("a"), { ...contribution, delta: contribution.delta.slice() });
    expect((await bytesOf(again)).equals(await bytesOf(upload))).toBe(true);
  });

  it("refuses another delivery or contribution afterwards", () => {
    const { session, deliveryFor } = masked();
    expect(() => session.mask(deliveryFor("a", ["a", "b", "c"]), contribution)).toThrow(coded("message-conflict"));
    const other = { ...contribution, sampleCount: 41 };
    expect(() => session.mask(deliveryFor("a"), other)).toThrow(coded("message-conflict"));
  });

  it("refuses sharers below the threshold, strangers, and a list without itself", () => {
    const { sessions, deliveryFor } = shared();
    const session = sessions.get("a")!;
    expect(() => session.mask(deliveryFor("a", ["a", "b"]), contribution)).toThrow(coded("policy-refused"));
    const withStranger = deliveryFor("a", [...siteIds, "x"]);
    expect(() => session.mask(withStranger, contribution)).toThrow(coded("message-conflict"));
    expect(() => session.mask(deliveryFor("a", ["aa", "b", "c"]), contribution)).toThrow(coded("message-conflict"));
  });

  it("names the author of a share that is missing or does not open", () => {
    const { sessions, deliveryFor } = shared();
    const session = sessions.get("a")!;
    const { sharers, shares } = deliveryFor("a");
    const missing = shares.filter((share) => share.fromSite !== "b");
    expect(() => session.mask({ sharers, shares: missing }, contribution)).toThrow(/site b /);
    const twice = [...shares, shares[1]!];
    expect(() => session.mask({ sharers, shares: twice }, contribution)).toThrow(/2 shares by site b /);
    const swapped = shares.map((share) =>
      share.fromSite === "c" ? { ...share, ciphertext: shares[0]!.ciphertext } : share,
    );
    expect(() => session.mask({ sharers, shares: swapped }, contribution)).toThrow(/site c /);
  });

  it("refuses a contribution that does not fit the plan", () => {
    const { sessions, deliveryFor } = shared();
    const session = sessions.get("a")!;
    const short = { ...contribution, delta: new Float32Array(5) };
    expect(() => session.mask(deliveryFor("a"), short)).toThrow(coded("update-invalid"));
    expect(() => session.mask(deliveryFor("a"), { ...contribution, sampleCount: 0 })).toThrow(coded("update-invalid"));
    for (const figures of [{ meanLoss: Number.NaN }, { steps: -1 }, { steps: 0.5 }]) {
      expect(() => session.mask(deliveryFor("a"), { ...contribution, ...figures })).toThrow(coded("update-invalid"));
    }
  });
});

describe("SiteSession reveal", () => {
  it("gives one share of every sharer, of the kind that its own sets decide", () => {
    const { session } = masked();
    const reveals = session.reveal(["c", "a", "aa"]);
    expect(reveals.map(({ aboutSite, share }) => [aboutSite, share.$case])).toEqual([
      ["a", "selfShare"],
      ["aa", "selfShare"],
      ["b", "pairwiseShare"],
      ["c", "selfShare"],
    ]);
    expect(session.reveal(["a", "aa", "c"])).toEqual(reveals);
  });

  it("refuses a second, different list for ever", () => {
    const { session } = masked();
    session.reveal(["a", "aa", "c"]);
    expect(() => session.reveal(siteIds)).toThrow(coded("message-conflict"));
    expect(() => session.reveal(["a", "b", "c"])).toThrow(coded("message-conflict"));
  });

  it("refuses survivors below the threshold, outside the sharers, or without itself", () => {
    const { session } = masked();
    expect(() => session.reveal(["a", "b"])).toThrow(coded("policy-refused"));
    expect(() => session.reveal([...siteIds, "x"])).toThrow(coded("message-conflict"));
    expect(() => session.reveal(["aa", "b", "c"])).toThrow(coded("message-conflict"));
    expect(() => session.reveal(["a", "a", "b", "c"])).toThrow(coded("message-conflict"));
  });
});

describe("SiteSession erase", () => {
  it("ends everything, the upload too", async () => {
    const { session, upload, adverts } = masked();
    session.erase();
    session.erase();
    expect(session.stage).toBe("erased");
    expect(() => session.advertise()).toThrow(coded("message-conflict"));
    expect(() => session.share(adverts)).toThrow(coded("message-conflict"));
    expect(() => session.reveal(siteIds)).toThrow(coded("message-conflict"));
    await expect(bytesOf(upload)).rejects.toThrow(coded("stale"));
  });
});
