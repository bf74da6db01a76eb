import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { agree, pairMaskInfo, pairMaskKey, publicKeyOf } from "./key-agreement.js";
import { addMask } from "./mask.js";

interface KnownAnswer {
  readonly sk_mask_A: string;
  readonly sk_mask_B: string;
  readonly pk_A: string;
  readonly pk_B: string;
  readonly x25519: string;
  readonly ctx: string;
  readonly h1: string;
  readonly info_hex: string;
  readonly pair_key: string;
  readonly mask_first4_u32le: readonly number[];
}

const known: KnownAnswer = JSON.parse(
  readFileSync(new URL("./known-answer.fixture.json", import.meta.url), "utf8"),
) as KnownAnswer;
const bytes = (hex: string) => Buffer.from(hex, "hex");
const binding = { context: bytes(known.ctx), advertsDigest: bytes(known.h1) };

describe("the known-answer vector", () => {
  it("gives the public keys", () => {
    expect(publicKeyOf(bytes(known.sk_mask_A)).toString("hex")).toBe(known.pk_A);
    expect(publicKeyOf(bytes(known.sk_mask_B)).toString("hex")).toBe(known.pk_B);
  });

  it("gives the shared secret and the derivation's input", () => {
    expect(agree(bytes(known.sk_mask_A), bytes(known.pk_B)).toString("hex")).toBe(known.x25519);
    expect(agree(bytes(known.sk_mask_B), bytes(known.pk_A)).toString("hex")).toBe(known.x25519);
    expect(pairMaskInfo(binding.context, "siteB", "siteA").toString("hex")).toBe(known.info_hex);
  });

  it("gives the pair key from both sides", () => {
    const a = { siteId: "siteA", maskSecret: bytes(known.sk_mask_A), maskPublicKey: bytes(known.pk_A) };
    const b = { siteId: "siteB", maskSecret: bytes(known.sk_mask_B), maskPublicKey: bytes(known.pk_B) };
    expect(pairMaskKey(binding, a, b).toString("hex")).toBe(known.pair_key);
    expect(pairMaskKey(binding, b, a).toString("hex")).toBe(known.pair_key);
  });

  it("gives the mask's first words", () => {
    const words = new Uint32Array(4);
    addMask(words, { key: bytes(known.pair_key), firstWord: 0 });
    expect([...words]).toEqual(known.mask_first4_u32le);
  });
});
