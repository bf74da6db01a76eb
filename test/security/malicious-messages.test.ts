import { randomBytes } from "node:crypto";
import { createCertificateRequest } from "@consilium/shared/identity/certificate-request.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { type KeyAdvert, planContext, type Reveal } from "@consilium/shared/protocol.js";
import { signAdvert } from "@consilium/shared/secagg/adverts.js";
import { enrol } from "@consilium/site-agent/rpc/enrolment-client.js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../deploy/demo/processes.js";
import { HostileFederation } from "../support/hostile-federation.js";
import {
  beginParts,
  dropsCounted,
  dropsNoted,
  finish,
  honestAttempt,
  playOut,
  readyToUpload,
  rejectedCalls,
  untilUnmask,
  withNoise,
} from "../support/hostile-rounds.js";
import { type SitePart, unwrittenEgress } from "../support/hostile-site.js";

const names = ["east", "north", "south", "west"];
const others = names.slice(1);
let federation: HostileFederation;
beforeAll(async () => {
  federation = await HostileFederation.start(names);
}, 60_000);
afterEach(() => federation.stopRuns());
afterAll(() => federation.stop(), 20_000);

const begin = (runId: string) => beginParts(federation, runId);
const conflict = { code: "message-conflict" };
const badUpdate = { code: "update-invalid" };

/** The site is out for this reason, counted and noted, and the round is the others'. */
async function expectDropped(runId: string, reason: string, before: number): Promise<void> {
  const record = await federation.committed(runId);
  expect(record.cohort).toEqual(others);
  expect(record.dropped).toMatchObject([{ siteId: "east", reason }]);
  expect(await dropsCounted(federation, reason)).toBe(before + 1);
  expect(dropsNoted(federation, runId)).toEqual([{ siteId: "east", reason }]);
}

/** An advert that is signed well and says something else in one of its fields. */
function advertWith(part: SitePart, change: Partial<KeyAdvert>) {
  const { signature: _signature, identityPublicKey: _key, ...fields } = part.session.advertise().advert;
  const { identity } = part.site.credentials;
  return { advert: signAdvert(planContext(part.received.body), { ...fields, ...change }, identity), aborts: [] };
}

describe("adverts", () => {
  it("K: a second, different advert is a conflict, and the round goes on with the first", async () => {
    const runId = await federation.launch();
    const [east, ...rest] = await begin(runId);
    const first = east!.advertise();
    await federation.siteReaches(runId, { siteId: "east", phase: "ready" });
    const second = { stage: "advertise", advertisement: east!.newSession().advertise() } as const;
    await expect(east!.send(second)).rejects.toMatchObject(conflict);
    const others = await Promise.all(rest.map((part) => part.advertise()));
    const adverts = [await first, ...others];
    const delivered = await Promise.all([east!, ...rest].map((part, i) => part.share(adverts[i]!)));
    for (const outcome of await finish([east!, ...rest].map((part, i) => ({ part, delivered: delivered[i]! })))) {
      expect(outcome).toMatchObject({ kind: "result", cohort: names });
    }
  });

  it.each([
    ["zero", new Uint8Array(32)],
    ["one", Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))],
    ["of order eight", Buffer.from("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "hex")],
  ])("K: an X25519 key that agrees with nobody, %s, drops who advertises it", async (_, key) => {
    const before = await dropsCounted(federation, "bad-signature");
    const runId = await federation.launch();
    const [east, ...rest] = await begin(runId);
    for (const field of ["sealPublicKey", "maskPublicKey"] as const) {
      const advertisement = advertWith(east!, { [field]: key });
      const sending = east!.send({ stage: "advertise", advertisement });
      if (field === "sealPublicKey") await expect(sending).rejects.toMatchObject(badUpdate);
      else expect(await sending).toMatchObject({ kind: "dropped" });
    }
    for (const outcome of await playOut(rest)) expect(outcome).toMatchObject({ kind: "result", cohort: others });
    await expectDropped(runId, "bad-signature", before);
  });

  it("K: another site's keys in its own name drop who repeats them", async () => {
    const before = await dropsCounted(federation, "bad-message");
    const runId = await federation.launch();
    const [east, north, ...rest] = await begin(runId);
    const waiting = north!.advertise();
    await federation.siteReaches(runId, { siteId: "north", phase: "ready" });
    const { maskPublicKey, sealPublicKey, selfCommitment } = north!.session.advertise().advert;
    const advertisement = advertWith(east!, { maskPublicKey, sealPublicKey, selfCommitment });
    await expect(east!.send({ stage: "advertise", advertisement })).rejects.toMatchObject(badUpdate);
    const adverts = await Promise.all([waiting, ...rest.map((part) => part.advertise())]);
    const parts = [north!, ...rest];
    const delivered = await Promise.all(parts.map((part, i) => part.share(adverts[i]!)));
    await finish(parts.map((part, i) => ({ part, delivered: delivered[i]! })));
    await expectDropped(runId, "bad-message", before);
  });

  it("K: one true word about a lost attempt, said sixty thousand times, drops who says it before it is verified", async () => {
    const before = await dropsCounted(federation, "bad-message");
    const runId = await federation.launch();
    const lost = await begin(runId);
    await Promise.all(lost.map((part) => part.advertise()));
    for (const part of lost) await part.fail("internal");
    const [east, ...rest] = await beginParts(federation, runId, { attempt: 2 });
    const { advert, aborts } = east!.session.advertise();
    const advertisement = { advert, aborts: Array.from({ length: 60_000 }, () => aborts[0]!) };
    await expect(east!.send({ stage: "advertise", advertisement })).rejects.toMatchObject(badUpdate);
    for (const outcome of await playOut(rest)) expect(outcome).toMatchObject({ kind: "result", cohort: others });
    expect((await federation.committed(runId)).cohort).toEqual(others);
    expect(await dropsCounted(federation, "bad-message")).toBe(before + 1);
  }, 30_000);

  it("K: three bad adverts end a site's part in the run", async () => {
    const runId = await federation.launch({ rounds: 4 });
    for (const round of [1, 2, 3]) {
      const [east, ...rest] = await beginParts(federation, runId, { round });
      const advertisement = advertWith(east!, { siteId: "north" });
      await expect(east!.send({ stage: "advertise", advertisement })).rejects.toMatchObject(badUpdate);
      await playOut(rest);
      expect((await federation.committed(runId, round)).cohort).toEqual(others);
    }
    const [, ...rest] = federation.sites;
    await playOut(await Promise.all(rest.map((site) => site.begin(runId, { round: 4 }))));
    expect(await federation.committed(runId, 4)).toMatchObject({ cohort: others, dropped: [] });
    expect(dropsNoted(federation, runId)).toHaveLength(3);
  }, 30_000);
});

describe("shares", () => {
  it("K: shares for a stranger, or one too few, drop who sends them", async () => {
    const before = await dropsCounted(federation, "bad-share");
    const runId = await federation.launch();
    const parts = await begin(runId);
    const adverts = await Promise.all(parts.map((part) => part.advertise()));
    const [east, ...rest] = parts;
    const sealed = east!.session.share(adverts[0]!.advertised);
    const [first, ...shares] = sealed.shares;
    const strange = { ...sealed, shares: [{ ...first!, toSite: "nobody" }, ...shares] };
    await expect(east!.send({ stage: "share", sealed: strange })).rejects.toMatchObject(badUpdate);
    const delivered = await Promise.all(rest.map((part, i) => part.share(adverts[i + 1]!)));
    await finish(rest.map((part, i) => ({ part, delivered: delivered[i]! })));
    await expectDropped(runId, "bad-share", before);
  });

  it.each([
    ["one site", 1],
    ["every site", 3],
  ])("K: sealed shares for %s that do not open are refused there, naming their author", async (_, count) => {
    const runId = await federation.launch();
    const parts = await begin(runId);
    const ready = await withNoise(parts, count);
    const outcomes = ready.map(({ part, delivered }) => {
      try {
        return part.masked(delivered.delivered).words;
      } catch (thrown) {
        return thrown;
      }
    });
    for (const outcome of outcomes.slice(0, count)) {
      expect(outcome).toMatchObject({ code: "share-invalid", message: expect.stringMatching(/site east cannot/) });
    }
    for (const outcome of outcomes.slice(count)) expect(outcome).toBe(parts[0]!.words);
  });
});

describe("reveals", () => {
  const falseShares = (reveals: readonly Reveal[]): Reveal[] =>
    reveals.map(({ aboutSite, share }) => ({ aboutSite, share: { ...share, value: randomBytes(31) } }));
  const padded = (reveals: readonly Reveal[]): Reveal[] =>
    falseShares(reveals).map(({ aboutSite, share }) => {
      return { aboutSite, share: { ...share, value: Buffer.concat([Buffer.alloc(1), share.value]) } };
    });
  const otherKind = (reveals: readonly Reveal[]): Reveal[] =>
    reveals.map(({ aboutSite, share }) => ({ aboutSite, share: { $case: "pairwiseShare", value: share.value } }));

  it("K: false shares are worked around, and their holder takes no part in the run any more", async () => {
    const runId = await federation.launch({ rounds: 2 });
    const { parts, confirmed } = await untilUnmask(await begin(runId));
    const [east, ...rest] = parts;
    const lies = padded(east!.session.reveal(confirmed.signatures));
    await Promise.all([east!.send({ stage: "unmask", reveals: lies }), ...rest.map((part) => part.unmask(confirmed))]);
    expect((await federation.committed(runId)).cohort).toEqual(names);
    expect(dropsNoted(federation, runId)).toEqual([{ siteId: "east", reason: "bad-share" }]);
    const [, ...honest] = federation.sites;
    await playOut(await Promise.all(honest.map((site) => site.begin(runId, { round: 2 }))));
    expect((await federation.committed(runId, 2)).cohort).toEqual(others);
  }, 30_000);

  it.each([
    ["of the other kind", otherKind],
    ["that are no field elements", falseShares],
    ["of one site only", (reveals: readonly Reveal[]) => reveals.slice(0, 1)],
  ])("K: shares %s drop who reveals them, and the sum opens without", async (_, change) => {
    const before = await dropsCounted(federation, "bad-share");
    const runId = await federation.launch();
    const { parts, confirmed } = await untilUnmask(await begin(runId));
    const [east, ...rest] = parts;
    const reveals = change(east!.session.reveal(confirmed.signatures));
    await expect(east!.send({ stage: "unmask", reveals })).rejects.toMatchObject(badUpdate);
    await Promise.all(rest.map((part) => part.unmask(confirmed)));
    expect((await federation.committed(runId)).cohort).toEqual(names);
    expect(await dropsCounted(federation, "bad-share")).toBe(before + 1);
  });
});

describe("messages of another time or place", () => {
  it("K: an upload in another site's name is refused by the certificate", async () => {
    const before = await rejectedCalls(federation, "SecAggService/Upload", "not-authorised");
    const runId = await federation.launch();
    const ready = await readyToUpload(await begin(runId));
    const { part, delivered } = ready[0]!;
    const stolen = part.uploadTampered(part.masked(delivered.delivered), { siteId: "north" });
    await expect(stolen).rejects.toMatchObject({ code: "not-authorised" });
    expect(await rejectedCalls(federation, "SecAggService/Upload", "not-authorised")).toBe(before + 1);
    for (const outcome of await finish(ready)) expect(outcome).toMatchObject({ kind: "result", cohort: names });
  });

  it("K: what was sent in an earlier round is refused in the next, and answered as before in its own", async () => {
    const before = await dropsCounted(federation, "bad-signature");
    const runId = await federation.launch({ rounds: 2 });
    const first = await begin(runId);
    await playOut(first);
    const [east, ...rest] = await beginParts(federation, runId, { round: 2 });
    const old = first[0]!.session.advertise();
    expect(await first[0]!.send({ stage: "advertise", advertisement: old })).toMatchObject({
      kind: "result",
      cohort: names,
    });
    await expect(east!.send({ stage: "advertise", advertisement: old })).rejects.toMatchObject(badUpdate);
    await playOut(rest);
    expect((await federation.committed(runId, 2)).cohort).toEqual(others);
    expect(await dropsCounted(federation, "bad-signature")).toBe(before + 1);
  });

  it("K: a site that reports without end is refused at the pace of its budget, and the round is the others'", async () => {
    const rejected = () => rejectedCalls(federation, "FederationService/Report", "overloaded");
    const before = await rejected();
    const runId = await federation.launch();
    const [east, ...rest] = await begin(runId);
    const report = { key: east!.key, phase: "training", code: "", clause: "", accused: "" } as const;
    const send = (stepsDone: number) =>
      east!.site.client.report({ ...report, stepsDone }, new AbortController().signal);
    const flood = await Promise.allSettled(Array.from({ length: 600 }, (_, stepsDone) => send(stepsDone)));
    const refused = flood.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
    expect(new Set(refused)).toEqual(new Set(["overloaded"]));
    expect(refused.length).toBeGreaterThan(100);
    expect(await rejected()).toBe(before + refused.length);
    // It is heard again in a moment.
    await until("east heard", 20_000, () => east!.fail("internal").then(() => true));
    for (const outcome of await playOut(rest)) expect(outcome).toMatchObject({ kind: "result", cohort: others });
  }, 60_000);

  it("K: fifty joins with one token give one certificate, and the rest are refused alike", async () => {
    const invitation = await federation.invite("extra");
    const key = await generateTlsKey();
    const csrPem = createCertificateRequest(key, "extra");
    const joins = Array.from({ length: 50 }, () => {
      return enrol(
        invitation,
        { csrPem, identityPublicKey: IdentityKey.generate().publicKey },
        { egress: unwrittenEgress, proxy: undefined },
      );
    });
    const answers = await Promise.allSettled(joins);
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const codes = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.code] : []));
    expect([...new Set(codes)].every((code) => code === "token-refused" || code === "overloaded")).toBe(true);
    const runId = await federation.launch();
    await honestAttempt(federation, runId, {});
    expect((await federation.committed(runId)).cohort).toEqual(names);
  });
});
