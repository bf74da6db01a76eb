import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { KeyAdvert } from "../protocol.js";
import {
  advertsDigest,
  type IdentityKey,
  requireDistinct,
  requireSigned,
  sameAdvert,
  signAdvert,
  sortAdverts,
} from "./adverts.js";

const context = Buffer.alloc(32, 1);

function identity(): IdentityKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { publicKey: raw, sign: (message) => sign(null, message, privateKey) };
}

function advert(siteId: string, signer = identity()): KeyAdvert {
  const fields = {
    siteId,
    maskPublicKey: randomBytes(32),
    sealPublicKey: randomBytes(32),
    selfCommitment: randomBytes(32),
    nonce: randomBytes(32),
  };
  return signAdvert(context, fields, signer);
}

describe("a list of adverts", () => {
  it("sorts, and gives every order the same digest", () => {
    const adverts = [advert("c"), advert("a"), advert("b")];
    const sorted = sortAdverts(adverts);
    expect(sorted.map((one) => one.siteId)).toEqual(["a", "b", "c"]);
    const reversed = sortAdverts([...adverts].reverse());
    expect(advertsDigest(reversed).equals(advertsDigest(sorted))).toBe(true);
  });

  it("refuses an advert that was altered, or signed for another plan", () => {
    const good = advert("a");
    const swapped = { ...good, sealPublicKey: randomBytes(32) };
    expect(() => requireSigned(context, [swapped])).toThrow(/"a" is not signed/);
    expect(() => requireSigned(Buffer.alloc(32, 2), [good])).toThrow(/"a" is not signed/);
  });

  it("refuses two sites with one id or one key", () => {
    const signer = identity();
    const first = advert("a", signer);
    expect(() => requireDistinct([first, advert("a")])).toThrow(/repeats/);
    expect(() => requireDistinct([first, advert("b", signer)])).toThrow(/repeats/);
  });

  it("refuses keys of low order, with which nobody can share a secret", () => {
    const { signature: _signature, identityPublicKey: _key, ...fields } = advert("a");
    const lowOrder = Buffer.from("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "hex");
    for (const change of [{ sealPublicKey: Buffer.alloc(32) }, { maskPublicKey: lowOrder }]) {
      const signed = signAdvert(context, { ...fields, ...change }, identity());
      expect(() => requireSigned(context, [signed])).toThrow(/"a" holds an X25519 key that agrees with nobody/);
    }
  });

  it("refuses malformed fields without throwing anything else", () => {
    const good = advert("a");
    expect(() => requireSigned(context, [{ ...good, nonce: new Uint8Array(5) }])).toThrow(/wrong length/);
    expect(() => requireSigned(context, [{ ...good, signature: new Uint8Array(0) }])).toThrow(/wrong length/);
    expect(() => requireSigned(context, [{ ...good, siteId: "../x" }])).toThrow(/invalid site id/);
  });
});

describe("advertsDigest", () => {
  it("depends on every advert and its signature", () => {
    const [a, b] = [advert("a"), advert("b")];
    expect(advertsDigest([a, b]).equals(advertsDigest([a]))).toBe(false);
    const otherSignature = { ...b, signature: randomBytes(64) };
    expect(advertsDigest([a, b]).equals(advertsDigest([a, otherSignature]))).toBe(false);
    expect(sameAdvert(b, otherSignature)).toBe(false);
    expect(sameAdvert(b, { ...b })).toBe(true);
  });
});
