import { describe, expect, it } from "vitest";
import { bytesOf, sessionOf, TestAttempt, testContribution, testFloors, testMember, testPlan } from "./test-cohort.js";

const siteIds = ["a", "aa", "b", "c"];
const cohort = () => siteIds.map(testMember);
const coded = (code: string) => expect.objectContaining({ code });
const failing = (check: string, isAttack = true) => expect.objectContaining({ check, isAttack });

describe("SiteSession plan", () => {
  it("refuses floors below the site's own", () => {
    const open = (facts: object, floors: object) =>
      sessionOf(testMember("a"), testPlan(facts), { ...testFloors, ...floors });
    expect(() => open({}, { minCohort: 3 })).toThrow(coded("policy-refused"));
    expect(() => open({}, { maxColluders: 1 })).toThrow(coded("policy-refused"));
    expect(() => open({ colluders: 1, minCohort: 2 }, {})).toThrow(coded("policy-refused"));
  });

  it.each([0, -1, 1.5, 2 ** 53])("refuses the weight cap %d", (weightCap) => {
    expect(() => sessionOf(testMember("a"), testPlan({ weightCap }))).toThrow(coded("plan-invalid"));
  });

  it("refuses lanes that it does not know", () => {
    const plan = testPlan({ lanes: ["weight", "names"] });
    expect(() => sessionOf(testMember("a"), plan)).toThrow(coded("plan-invalid"));
  });
});

describe("SiteSession share", () => {
  it("gives one sealed share for every other site under one root, the same each time", () => {
    const attempt = new TestAttempt(cohort()).advertise();
    const { adverts } = attempt;
    const session = attempt.session("a");
    const sealed = session.share({ adverts, aborts: [] });
    expect(sealed.shares.map((share) => share.toSite)).toEqual(["aa", "b", "c"]);
    expect(session.share({ adverts: [...adverts].reverse(), aborts: [] })).toEqual(sealed);
    expect(session.advertise().advert).toEqual(adverts[0]);
  });

  it("seals shares for its neighbours on the ring only, where there are more than 128 sites", () => {
    const many = Array.from({ length: 130 }, (_, i) => testMember(`s${i}`));
    const attempt = new TestAttempt(many, { cohortSize: 130, colluders: 6, minCohort: 8 }).advertise();
    const { shares } = attempt.session("s0").share(attempt.advertised);
    expect(shares.length).toBeLessThan(40);
    const back = shares.map(({ toSite }) => toSite)[0]!;
    const theirs = attempt.session(back).share(attempt.advertised).shares;
    expect(theirs).toHaveLength(shares.length);
    expect(theirs.map(({ toSite }) => toSite)).toContain("s0");
  });

  it("refuses a cohort that is too small or larger than planned", () => {
    const attempt = new TestAttempt(cohort()).advertise();
    const { adverts } = attempt;
    expect(() => attempt.session("a").share({ adverts: adverts.slice(0, 2), aborts: [] })).toThrow(
      coded("policy-refused"),
    );
    const planned = new TestAttempt(cohort(), { cohortSize: 3 }).advertise();
    expect(() => planned.session("a").share(planned.advertised)).toThrow(coded("policy-refused"));
  });

  it("refuses a list without its own advert or with another in its place", () => {
    const attempt = new TestAttempt(cohort()).advertise();
    const { adverts } = attempt;
    const session = attempt.session("a");
    expect(() => session.share({ adverts: adverts.slice(1), aborts: [] })).toThrow(failing("own-advert"));
    const imposter = sessionOf(testMember("a"), testPlan()).advertise().advert;
    const replaced = { adverts: [imposter, ...adverts.slice(1)], aborts: [] };
    expect(() => session.share(replaced)).toThrow(failing("own-advert"));
  });

  it("refuses adverts that are altered, repeated or of another plan", () => {
    const attempt = new TestAttempt(cohort()).advertise();
    const { adverts } = attempt;
    const share = (list: typeof adverts) => attempt.session("a").share({ adverts: list, aborts: [] });
    const altered = { ...adverts[1]!, maskPublicKey: adverts[2]!.maskPublicKey };
    expect(() => share([adverts[0]!, altered, ...adverts.slice(3)])).toThrow(coded("share-invalid"));
    expect(() => share([...adverts, adverts[1]!])).toThrow(coded("share-invalid"));
    const elsewhere = sessionOf(testMember("d"), testPlan({ l2Clip: 11 })).advertise().advert;
    expect(() => share([...adverts, elsewhere])).toThrow(/"d" is not signed/);
  });

  it("refuses a second, different list, and any request out of order", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const { adverts } = attempt;
    const session = attempt.session("a");
    expect(() => session.share({ adverts: adverts.slice(0, 3), aborts: [] })).toThrow(coded("message-conflict"));
    expect(() => session.confirm([])).toThrow(failing("in-order", false));
    expect(() => session.reveal([])).toThrow(failing("in-order", false));
    expect(() => sessionOf(testMember("x"), testPlan()).share(attempt.advertised)).toThrow(coded("message-conflict"));
  });
});

describe("SiteSession mask", () => {
  it("gives identical bytes for a repeated delivery", async () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const upload = attempt.mask("a");
    expect(upload.words).toBe(10);
    const contribution = { ...testContribution, delta: testContribution.delta.slice() };
    const again = attempt.session("a").mask(attempt.deliveryFor("a"), contribution);
    expect((await bytesOf(again)).equals(await bytesOf(upload))).toBe(true);
  });

  it("refuses another delivery or contribution afterwards", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    attempt.mask("a");
    expect(() => attempt.mask("a", ["a", "b", "c"])).toThrow(coded("message-conflict"));
    const other = { ...testContribution, sampleCount: 41 };
    expect(() => attempt.session("a").mask(attempt.deliveryFor("a"), other)).toThrow(coded("message-conflict"));
  });

  it("refuses sharers below the threshold, strangers, repeats, and a list without itself", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    expect(() => attempt.mask("a", ["a", "b"])).toThrow(coded("policy-refused"));
    attempt.sealed.set("x", attempt.sealed.get("c")!);
    expect(() => attempt.mask("a", [...siteIds, "x"])).toThrow(failing("list-within"));
    expect(() => attempt.mask("a", [...siteIds, "c"])).toThrow(failing("list-without-repeats"));
    expect(() => attempt.mask("a", ["aa", "b", "c"])).toThrow(failing("list-with-self", false));
  });

  it("refuses roots that their sites did not sign, and a change of its own", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const { sharers, shares } = attempt.deliveryFor("a");
    const forge = (siteId: string) => ({
      shares,
      sharers: sharers.map((one) => (one.siteId === siteId ? { ...one, signature: sharers[1]!.signature } : one)),
    });
    const mask = (siteId: string) => attempt.session("a").mask(forge(siteId), testContribution);
    expect(() => mask("b")).toThrow(failing("roots-signed", false));
    expect(() => mask("a")).toThrow(failing("own-root"));
  });

  it("names the author of a share that is missing, not signed for, or does not open", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const session = attempt.session("a");
    const { sharers, shares } = attempt.deliveryFor("a");
    const mask = (delivered: typeof shares) => session.mask({ sharers, shares: delivered }, testContribution);
    expect(() => mask(shares.filter((share) => share.fromSite !== "b"))).toThrow(/site b /);
    expect(() => mask([...shares, shares[1]!])).toThrow(/2 shares by site b /);
    const swapped = shares.map((share) =>
      share.fromSite === "c" ? { ...share, ciphertext: shares[0]!.ciphertext } : share,
    );
    expect(() => mask(swapped)).toThrow(failing("share-proven", false));
    expect(() => mask(swapped)).toThrow(/site c /);
    // Sealed for another site, and signed for as such.
    const elsewhere = attempt.deliveryFor("b").shares.filter((share) => share.fromSite === "c");
    expect(() => mask([...shares.filter((share) => share.fromSite !== "c"), ...elsewhere])).toThrow(/site c /);
  });

  it("refuses a contribution that does not fit the plan", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const mask = (change: object) =>
      attempt.session("a").mask(attempt.deliveryFor("a"), { ...testContribution, ...change });
    expect(() => mask({ delta: new Float32Array(5) })).toThrow(coded("update-invalid"));
    for (const change of [{ sampleCount: 0 }, { meanLoss: Number.NaN }, { steps: -1 }, { steps: 0.5 }]) {
      expect(() => mask(change)).toThrow(coded("update-invalid"));
    }
  });

  it("signs for one digest only", () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const upload = attempt.mask("a");
    const signature = upload.seal(new Uint8Array(32));
    expect(upload.seal(new Uint8Array(32))).toEqual(signature);
    expect(() => upload.seal(new Uint8Array(32).fill(1))).toThrow(coded("message-conflict"));
  });
});

describe("SiteSession confirm", () => {
  it("gives one signature for one list, in any order", async () => {
    const attempt = await TestAttempt.through("upload", cohort());
    const [signature] = attempt.confirm(["a"]);
    expect(attempt.session("a").confirm(attempt.survivors().reverse())).toEqual(signature!.signature);
    expect(attempt.session("a").stage).toBe("confirmed");
  });

  it("refuses a second, different list for ever", async () => {
    const attempt = await TestAttempt.through("upload", cohort());
    attempt.confirm(["a"]);
    expect(() => attempt.confirm(["a"], attempt.survivors(["a", "aa", "b"]))).toThrow(failing("survivors-once"));
  });

  it("refuses survivors below the threshold, outside the sharers, twice, or without itself", async () => {
    const attempt = await TestAttempt.through("upload", cohort());
    const stranger = { ...attempt.uploads.get("b")!, siteId: "x" };
    const confirm = (survivors: ReturnType<typeof attempt.survivors>) => attempt.session("a").confirm(survivors);
    expect(() => confirm(attempt.survivors(["a", "b"]))).toThrow(coded("policy-refused"));
    expect(() => confirm([...attempt.survivors(), stranger])).toThrow(failing("list-within"));
    expect(() => confirm(attempt.survivors(["a", "a", "b", "c"]))).toThrow(failing("list-without-repeats"));
    expect(() => confirm(attempt.survivors(["aa", "b", "c"]))).toThrow(failing("list-with-self", false));
  });

  it("refuses uploads that their sites did not sign, and a change of its own", async () => {
    const attempt = await TestAttempt.through("upload", cohort());
    const forge = (siteId: string) =>
      attempt.survivors().map((one) => (one.siteId === siteId ? { ...one, sha256: new Uint8Array(32) } : one));
    expect(() => attempt.session("a").confirm(forge("b"))).toThrow(failing("uploads-signed"));
    expect(() => attempt.session("a").confirm(forge("a"))).toThrow(failing("own-upload"));
  });
});

describe("SiteSession reveal", () => {
  it("gives one share of every sharer, of the kind that its own sets decide", async () => {
    const attempt = await TestAttempt.through("share", cohort());
    await attempt.upload(["a", "aa", "c"]);
    const signatures = attempt.confirm();
    const reveals = attempt.session("a").reveal(signatures);
    expect(reveals.map(({ aboutSite, share }) => [aboutSite, share.$case])).toEqual([
      ["a", "selfShare"],
      ["aa", "selfShare"],
      ["b", "pairwiseShare"],
      ["c", "selfShare"],
    ]);
    expect(attempt.session("a").reveal(signatures)).toEqual(reveals);
  });

  it("refuses fewer signatures than the threshold, repeats, strangers and forgeries", async () => {
    const attempt = await TestAttempt.through("upload", cohort());
    const signatures = attempt.confirm();
    const session = attempt.session("a");
    expect(() => session.reveal(signatures.slice(0, 2))).toThrow(failing("confirmations-enough", false));
    const repeated = [signatures[0]!, signatures[1]!, signatures[1]!, signatures[2]!];
    expect(() => session.reveal(repeated)).toThrow(failing("confirmations-distinct"));
    const stranger = { ...signatures[3]!, siteId: "x" };
    expect(() => session.reveal([...signatures.slice(0, 3), stranger])).toThrow(failing("confirmed-by-survivors"));
    const forged = { ...signatures[2]!, signature: signatures[1]!.signature };
    expect(() => session.reveal([signatures[0]!, signatures[1]!, forged])).toThrow(failing("confirmations-signed"));
    expect(session.reveal(signatures.slice(0, 3))).toHaveLength(4);
  });
});

describe("SiteSession erase", () => {
  it("ends everything, the upload too", async () => {
    const attempt = new TestAttempt(cohort()).advertise().share();
    const upload = attempt.mask("a");
    const session = attempt.session("a");
    session.erase();
    session.erase();
    expect(session.stage).toBe("erased");
    expect(() => session.advertise()).toThrow(coded("message-conflict"));
    expect(() => session.share(attempt.advertised)).toThrow(coded("message-conflict"));
    expect(() => session.confirm([])).toThrow(coded("message-conflict"));
    expect(() => session.reveal([])).toThrow(coded("message-conflict"));
    await expect(bytesOf(upload)).rejects.toThrow(coded("stale"));
    expect(() => upload.seal(new Uint8Array(32))).toThrow(coded("stale"));
  });
});
