import { chunkWords } from "@consilium/shared/secagg/mask.js";
import { describe, expect, it } from "vitest";
import {
  ledgerOf,
  sessionOf,
  TestAttempt,
  type TestMember,
  testFloors,
  testMember,
  testPlan,
} from "../../site-agent/src/secagg/test-cohort.js";
import { byteChiSquare, chiSquareLimit } from "../secagg/uniformity.js";

/** Matrix L, what concerns masking: the site's own session against every list that a coordinator could make up. */

const five = ["a", "b", "c", "d", "e"];
const withOneColluder = { colluders: 1, minCohort: 3 };
const failing = (check: string) => expect.objectContaining({ check });
const belowFloor = expect.objectContaining({ code: "policy-refused" });
const members = (sites: readonly string[] = five): TestMember[] => sites.map(testMember);
const at = (attempt: number, facts: object = {}) => ({ key: { runId: "run", round: 1, attempt }, ...facts });

describe("U1", () => {
  it("L: a list without the site's own advert is refused", () => {
    const attempt = new TestAttempt(members()).advertise();
    const adverts = attempt.adverts.slice(1);
    expect(() => attempt.session("a").share({ adverts, aborts: [] })).toThrow(failing("own-advert"));
  });

  it("L: one identity under two names is refused", () => {
    const [a, b, c] = members(["a", "b", "c"]);
    const twin: TestMember = { ...testMember("d"), identity: c!.identity };
    const attempt = new TestAttempt([a!, b!, c!, twin]).advertise();
    expect(() => attempt.session("a").share(attempt.advertised)).toThrow(/repeats an id or a key/);
  });

  it("L: a swapped key, without the site's signature, is refused", () => {
    const attempt = new TestAttempt(members()).advertise();
    const [a, b, ...rest] = attempt.adverts;
    const own = sessionOf(testMember("z"), testPlan()).advertise().advert;
    const swapped = { ...b!, sealPublicKey: own.sealPublicKey };
    const share = () => attempt.session("a").share({ adverts: [a!, swapped, ...rest], aborts: [] });
    expect(share).toThrow(/"b" is not signed/);
  });

  it("L: a cohort below the site's floor is refused at U1, U2 and U3", async () => {
    const facts = { colluders: 0, minCohort: 4 };
    const attempt = new TestAttempt(members(), facts).advertise();
    const short = { adverts: attempt.adverts.slice(0, 3), aborts: [] };
    expect(() => attempt.session("a").share(short)).toThrow(belowFloor);
    attempt.share();
    expect(() => attempt.mask("a", ["a", "b", "c"])).toThrow(belowFloor);
    await attempt.upload();
    expect(() => attempt.session("a").confirm(attempt.survivors(["a", "b", "c"]))).toThrow(belowFloor);
  });
});

describe("U2 and U3", () => {
  it("L: U3 with a site that never shared is refused", async () => {
    const attempt = new TestAttempt(members()).advertise().share();
    for (const site of ["a", "b", "c", "d"]) attempt.mask(site, ["a", "b", "c", "d"]).seal(new Uint8Array(32));
    const uploads = ["a", "b", "c", "d"].map((siteId) => {
      const signature = attempt.mask(siteId, ["a", "b", "c", "d"]).seal(new Uint8Array(32));
      return { siteId, sha256: new Uint8Array(32), signature };
    });
    const strange = [...uploads.slice(0, 3), { ...uploads[3]!, siteId: "e" }];
    expect(() => attempt.session("a").confirm(strange)).toThrow(failing("list-within"));
  });

  it("L: an altered root or upload of its own is refused", async () => {
    const attempt = new TestAttempt(members()).advertise().share();
    const { sharers, shares } = attempt.deliveryFor("a");
    const altered = sharers.map((one) => (one.siteId === "a" ? { ...one, root: new Uint8Array(32) } : one));
    const { contribution } = attempt;
    const mask = () => attempt.session("a").mask({ sharers: altered, shares }, contribution);
    expect(mask).toThrow(failing("own-root"));
    await attempt.upload();
    const uploads = attempt
      .survivors()
      .map((one) => (one.siteId === "a" ? { ...one, sha256: new Uint8Array(32) } : one));
    expect(() => attempt.session("a").confirm(uploads)).toThrow(failing("own-upload"));
  });

  it("L: a second U3 for one attempt is refused, and its session gives nothing more away", async () => {
    const attempt = await TestAttempt.through("upload", members());
    const signatures = attempt.confirm();
    const second = attempt.survivors(["a", "b", "c", "d"]);
    expect(() => attempt.session("a").confirm(second)).toThrow(
      expect.objectContaining({ check: "survivors-once", isAttack: true }),
    );
    const kinds = attempt.session("a").reveal(signatures);
    expect(kinds.every(({ share }) => share.$case === "selfShare")).toBe(true);
  });

  it("L: both kinds of shares are asked for by naming different survivors to two halves, and neither half reveals", async () => {
    const attempt = await TestAttempt.through("upload", members());
    const [one, other] = [attempt.survivors(["a", "b", "c", "d"]), attempt.survivors(["a", "b", "d", "e"])];
    const signed = [...attempt.confirm(["a", "c"], one), ...attempt.confirm(["b", "d", "e"], other)];
    for (const site of five) {
      const session = attempt.session(site);
      expect(() => session.reveal(signed.filter(({ siteId }) => siteId !== "e"))).toThrow();
      const ofItsOwn = signed.filter(({ siteId }) =>
        (["a", "c"].includes(site) ? ["a", "c"] : ["b", "d"]).includes(siteId),
      );
      expect(() => session.reveal(ofItsOwn)).toThrow(failing("confirmations-enough"));
    }
  });
});

describe("the bundle of confirmations", () => {
  it("L: t − 1 signatures, one signer twice, an outsider's and a forged one open nothing", async () => {
    const attempt = await TestAttempt.through("share", members(), withOneColluder);
    await attempt.upload(["a", "b", "c", "d"]);
    const signatures = attempt.confirm();
    const [a, b, c, d] = signatures;
    const session = attempt.session("a");
    expect(() => session.reveal([a!, b!, c!])).toThrow(failing("confirmations-enough"));
    expect(() => session.reveal([a!, b!, c!, c!])).toThrow(failing("confirmations-distinct"));
    const outsider = { siteId: "e", signature: attempt.members[4]!.identity.sign(new Uint8Array(8)) };
    expect(() => session.reveal([a!, b!, c!, outsider])).toThrow(failing("confirmed-by-survivors"));
    const forged = { siteId: "d", signature: c!.signature };
    expect(() => session.reveal([a!, b!, c!, forged])).toThrow(failing("confirmations-signed"));
    expect(session.reveal([a!, b!, c!, d!])).toHaveLength(5);
  });

  it("L: a list of confirmations without end is refused before a signature is looked at", async () => {
    const attempt = await TestAttempt.through("upload", members(), withOneColluder);
    const [a, ...others] = attempt.confirm();
    const endless = Array.from({ length: 20_000 }, () => ({ siteId: "a", signature: others[0]!.signature }));
    const session = attempt.session("a");
    expect(() => session.reveal(endless)).toThrow(failing("confirmations-distinct"));
    expect(session.reveal([a!, ...others])).toHaveLength(5);
  });

  it("L: unmasking before anything was confirmed is refused", async () => {
    const attempt = await TestAttempt.through("upload", members());
    expect(() => attempt.session("a").reveal([])).toThrow(failing("in-order"));
  });

  it("L: unmasking repeated gives the same bytes, and a new list does not change them", async () => {
    const attempt = await TestAttempt.through("share", members());
    await attempt.upload(["a", "b", "c", "d"]);
    const signatures = attempt.confirm();
    const reveals = attempt.session("a").reveal(signatures);
    expect(() => attempt.session("a").confirm(attempt.survivors(["a", "b", "c"]))).toThrow(failing("survivors-once"));
    expect(attempt.session("a").reveal(signatures.slice(1))).toEqual(reveals);
  });
});

describe("the next attempt at a round", () => {
  /** Attempt 1 as far as the upload; nobody confirms unless named. */
  async function lost(confirming: readonly string[] = []) {
    const cohort = members();
    const first = await TestAttempt.through("upload", cohort, at(1, withOneColluder));
    first.confirm(confirming);
    return { cohort, first };
  }

  it("L: a new cohort without one site is entered with a certificate that the old attempt is over", async () => {
    const { cohort } = await lost();
    const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise();
    // n + c − t + 1 = 3 of the five.
    const aborts = second.advertised.aborts.slice(0, 3);
    const adverts = second.adverts.slice(0, 4);
    expect(second.session("a").share({ adverts, aborts }).shares).toHaveLength(3);
  });

  it.each([
    ["without a certificate", 0],
    ["with one that is too short", 2],
  ])("L: a new cohort without one site is refused %s", async (_, count) => {
    const { cohort } = await lost();
    const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise();
    const aborts = second.advertised.aborts.slice(0, count);
    const adverts = second.adverts.slice(0, 4);
    expect(() => second.session("a").share({ adverts, aborts })).toThrow(failing("abort-certificate"));
  });

  it("L: a certificate of forged or foreign statements is refused", async () => {
    const { cohort } = await lost();
    const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise();
    const { adverts, aborts } = second.advertised;
    const [one, two, three] = aborts;
    const stranger = testMember("z");
    const foreign = { ...three!, siteId: "z", signature: stranger.identity.sign(new Uint8Array(4)) };
    for (const third of [{ ...three!, signature: two!.signature }, foreign, { ...three!, attempt: 7 }]) {
      const share = () => second.session("a").share({ adverts, aborts: [one!, two!, third] });
      expect(share).toThrow(failing("abort-certificate"));
    }
  });

  it("L: statements that are repeated are refused before a signature is looked at, however good the others are", async () => {
    const { cohort } = await lost();
    const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise();
    const { adverts, aborts } = second.advertised;
    const share = (list: typeof aborts) => second.session("a").share({ adverts, aborts: list });
    const forged = { ...aborts[0]!, signature: aborts[1]!.signature };
    for (const repeated of [aborts[1]!, forged]) {
      expect(() => share([...aborts, repeated])).toThrow(failing("aborts-distinct"));
    }
    expect(share(aborts).shares).toHaveLength(4);
  });

  it("L: a site that confirmed gives no abort statement, and one that gave it never confirms", async () => {
    const { cohort, first } = await lost(["a", "b"]);
    const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise();
    expect(second.advertised.aborts.map(({ siteId }) => siteId)).toEqual(["c", "d", "e"]);
    expect(() => first.session("c").confirm(first.survivors())).toThrow(failing("confirmed-after-abort"));
    const ledger = ledgerOf(cohort[2]!);
    const late = { survivors: five, digest: new Uint8Array(32) };
    expect(() => ledger.confirm(at(1).key, late)).toThrow(failing("confirmed-after-abort"));
  });

  it("L: who confirmed enters again with the same survivors, or with c + 2 others, and with nothing between", async () => {
    const sites = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const enters = async (survivors: readonly string[]) => {
      const cohort = members(sites);
      const first = new TestAttempt(cohort.slice(0, 5), at(1, withOneColluder)).advertise().share();
      (await first.upload()).confirm(five);
      const second = new TestAttempt(cohort, at(2, withOneColluder)).advertise().share();
      await second.upload(sites);
      return () => second.session("a").confirm(second.survivors(survivors));
    };
    expect(await enters(["a", "b", "c", "d", "e", "f"])).toThrow(failing("survivors-difference"));
    expect(await enters(["a", "b", "c", "d", "e", "f", "g"])).toThrow(failing("survivors-difference"));
    expect(await enters(sites)).not.toThrow();
    const again = members();
    const first = await TestAttempt.through("upload", again, at(1, withOneColluder));
    first.confirm();
    const same = await TestAttempt.through("upload", again, at(2, withOneColluder));
    expect(() => same.confirm()).not.toThrow();
  });

  it("L: an attempt that is begun again, or an older one or round, is refused by the ledger on the disk", () => {
    const cohort = members();
    new TestAttempt(cohort, at(2)).advertise();
    for (const key of [at(2).key, at(1).key, { runId: "run", round: 0, attempt: 9 }]) {
      expect(() => new TestAttempt(cohort, { key }).advertise()).toThrow(failing("attempt-is-new"));
    }
    expect(() => new TestAttempt(cohort, at(3)).advertise()).not.toThrow();
  });

  it("L: endless attempts end at the policy's number of uploads", async () => {
    const cohort = members();
    for (const attempt of [1, 2, 3]) {
      const one = new TestAttempt(cohort, at(attempt)).advertise();
      await one.share().upload();
    }
    expect(() => new TestAttempt(cohort, at(4)).advertise()).toThrow(failing("attempts-left"));
    const generous = { ...testFloors, maxAttempts: 4 };
    expect(() => new TestAttempt(cohort, at(4), { floors: generous }).advertise()).not.toThrow();
  });
});

describe("inconsistent models", () => {
  it("L: another model to one site makes its adverts foreign to the others, so there is no sum", () => {
    const [a, b, c] = members(["a", "b", "c"]);
    const one = new TestAttempt([a!, b!], { l2Clip: 1 }).advertise();
    const other = new TestAttempt([c!], { l2Clip: 2 }).advertise();
    const adverts = [...one.adverts, ...other.adverts];
    expect(() => one.session("a").share({ adverts, aborts: [] })).toThrow(/"c" is not signed/);
  });

  it("L: another model to one site, with its signature forced, leaves uniform noise in the sum", async () => {
    // As if signatures did not bind the plan: the masks alone must already keep the sum apart.
    const dimension = 2 * chunkWords;
    const sum = await sumOfForeignMasks(dimension);
    expect(byteChiSquare(sum)).toBeLessThan(chiSquareLimit);
  });
});

/** The sum of three zero vectors under pairwise masks only, where one site derives its masks from another plan. */
async function sumOfForeignMasks(words: number): Promise<Buffer> {
  const { pairMaskKey, pairSign, publicKeyOf } = await import("@consilium/shared/secagg/key-agreement.js");
  const { addMask, subtractMask } = await import("@consilium/shared/secagg/mask.js");
  const sites = ["a", "b", "c"].map((siteId, i) => {
    const maskSecret = Buffer.alloc(32, i + 1);
    return { siteId, maskSecret, maskPublicKey: publicKeyOf(maskSecret), context: Buffer.alloc(32, i === 2 ? 9 : 8) };
  });
  const sum = new Uint32Array(words);
  for (const mine of sites) {
    for (const theirs of sites.filter((other) => other !== mine)) {
      const key = pairMaskKey({ context: mine.context, advertsDigest: Buffer.alloc(32) }, mine, theirs);
      const add = pairSign(mine.siteId, theirs.siteId) === 1 ? addMask : subtractMask;
      for (let first = 0; first < words; first += chunkWords) {
        add(sum.subarray(first, first + chunkWords), { key, firstWord: first });
      }
    }
  }
  return Buffer.from(sum.buffer);
}
