import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { publicKeyOf } from "./key-agreement.js";
import { openShares, sealShares } from "./seal.js";

const binding = { context: randomBytes(32), advertsDigest: randomBytes(32) };
const [aliceSecret, bobSecret] = [randomBytes(32), randomBytes(32)];
const aliceKeys = { sealSecret: aliceSecret, theirSealPublicKey: publicKeyOf(bobSecret) };
const bobKeys = { sealSecret: bobSecret, theirSealPublicKey: publicKeyOf(aliceSecret) };
const shares = { x: 2, maskShare: randomBytes(32), selfShare: randomBytes(32) };
const share = sealShares(binding, { route: { fromSite: "a", toSite: "aa" }, keys: aliceKeys, shares });

describe("sealed shares", () => {
  it("open for the site they are for", () => {
    const opened = openShares(binding, { share, keys: bobKeys, x: 2 });
    expect(shares.maskShare.equals(opened.maskShare)).toBe(true);
    expect(shares.selfShare.equals(opened.selfShare)).toBe(true);
  });

  it("name their author when they do not open", () => {
    const broken = Buffer.from(share.ciphertext);
    broken[3] = broken[3]! ^ 1;
    const cases = [
      { share: { ...share, ciphertext: broken }, keys: bobKeys, x: 2 },
      { share: { ...share, ciphertext: new Uint8Array(4) }, keys: bobKeys, x: 2 },
      { share: { ...share, fromSite: "a", toSite: "b" }, keys: bobKeys, x: 2 },
      { share, keys: bobKeys, x: 3 },
      { share, keys: { ...bobKeys, theirSealPublicKey: new Uint8Array(32) }, x: 2 },
    ];
    for (const sealed of cases) expect(() => openShares(binding, sealed)).toThrow(/sealed by site a /);
    for (const replayed of [
      { ...binding, advertsDigest: randomBytes(32) },
      { ...binding, context: randomBytes(32) },
    ]) {
      expect(() => openShares(replayed, { share, keys: bobKeys, x: 2 })).toThrow(/sealed by site a /);
    }
  });

  it("use another key in the other direction, even where the ids concatenate alike", () => {
    const back = sealShares(binding, { route: { fromSite: "aa", toSite: "a" }, keys: bobKeys, shares });
    expect(Buffer.from(back.ciphertext).equals(share.ciphertext)).toBe(false);
    // With one key and nonce, equal plaintext tails would give equal ciphertext tails before the tag.
    const tail = (bytes: Uint8Array) => Buffer.from(bytes).subarray(-80, -16).toString("hex");
    expect(tail(back.ciphertext)).not.toBe(tail(share.ciphertext));
  });
});
