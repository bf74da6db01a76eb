import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fingerprint, IdentityKey, verifyIdentity } from "./identity-key.js";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

// RFC 8032, section 7.1, tests 1 and 3.
const published = [
  {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature:
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
];

describe("IdentityKey", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "consilium-key-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it.each(published)("reproduces RFC 8032 for $message", ({ seed, publicKey, message, signature }) => {
    const key = IdentityKey.fromSeed(hex(seed));
    expect(Buffer.from(key.publicKey).toString("hex")).toBe(publicKey);
    expect(Buffer.from(key.sign(hex(message))).toString("hex")).toBe(signature);
    expect(verifyIdentity(hex(publicKey), hex(message), hex(signature))).toBe(true);
  });

  it("refuses other messages, other keys and S outside the group order", () => {
    const key = IdentityKey.generate();
    const signature = key.sign(hex("0102"));
    expect(verifyIdentity(key.publicKey, hex("0103"), signature)).toBe(false);
    expect(verifyIdentity(IdentityKey.generate().publicKey, hex("0102"), signature)).toBe(false);
    const malleable = signature.slice();
    malleable.fill(0xff, 32);
    expect(verifyIdentity(key.publicKey, hex("0102"), malleable)).toBe(false);
  });

  it("returns false, and does not throw, for keys and signatures of the wrong length", () => {
    const key = IdentityKey.generate();
    expect(verifyIdentity(key.publicKey.subarray(1), hex("00"), key.sign(hex("00")))).toBe(false);
    expect(verifyIdentity(key.publicKey, hex("00"), hex("00"))).toBe(false);
  });

  it("keeps the key in a file that only its owner reads", async () => {
    const path = join(directory, "identity.pem");
    const created = await IdentityKey.loadOrCreate(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const again = await IdentityKey.loadOrCreate(path);
    expect(again.fingerprint).toBe(created.fingerprint);
    expect(created.fingerprint).toBe(fingerprint(created.publicKey));
  });

  it("never replaces a file that it cannot read", async () => {
    const path = join(directory, "damaged.pem");
    await writeFile(path, "not a key");
    await expect(IdentityKey.loadOrCreate(path)).rejects.toMatchObject({ code: "input-unreadable" });
    await expect(IdentityKey.load(join(directory, "absent.pem"))).rejects.toMatchObject({ code: "config-missing" });
  });
});
