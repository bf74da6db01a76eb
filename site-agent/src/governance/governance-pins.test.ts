import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { governancePins } from "./governance-pins.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pins-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const [a, b, c] = ["0a", "0b", "0c"].map((byte) => byte.repeat(32)) as [string, string, string];
const key = (hex: string) => `ed25519:${hex}`;
const file = (text: string): string => {
  const path = join(directory, "keys.txt");
  writeFileSync(path, text);
  return path;
};
const refusal = (code: string, message: RegExp, remedy: RegExp) =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(message),
    remedy: expect.stringMatching(remedy),
  });

describe("governancePins", () => {
  it("takes keys with and without their prefix, and files of them; more than half must sign", () => {
    expect(governancePins([key(a)])).toEqual({ keys: [key(a)], threshold: 1 });
    expect(governancePins([a.toUpperCase(), file(`# holders\n${key(b)}\r\n\n${c}\n`)])).toEqual({
      keys: [key(a), key(b), key(c)],
      threshold: 2,
    });
    expect(governancePins([a, b, c], 3)?.threshold).toBe(3);
    expect(governancePins([])).toBeUndefined();
  });

  it("refuses what is no key, and says what is", () => {
    expect(() => governancePins(["ed25519:12"])).toThrow(
      refusal("config-invalid", /"ed25519:12" is neither/, /holders/),
    );
    expect(() => governancePins([file("")])).toThrow(refusal("config-invalid", /holds no key/, /one key such as/));
    expect(() => governancePins([file(`${a}\nhello\n`)])).toThrow(refusal("config-invalid", /"hello" is no/, /a line/));
    expect(() => governancePins([file(" ".repeat(100_000))])).toThrow(refusal("config-invalid", /too large/, /file/));
    expect(() => governancePins([directory])).toThrow(refusal("config-missing", /cannot be read/, /file/));
  });

  it("refuses a private key without a word of it", async () => {
    const path = join(directory, "ada.pem");
    await IdentityKey.generate().save(path);
    expect(() => governancePins([path])).toThrow(refusal("config-invalid", /ada\.pem is a private key/, /offline/));
  });

  it("refuses a key twice, and thresholds that cannot be reached or count nothing", () => {
    expect(() => governancePins([a, key(a)])).toThrow(refusal("config-invalid", /given twice/, /once/));
    expect(() => governancePins([a, b], 3)).toThrow(
      refusal("config-invalid", /more than the governance keys given: 2$/, /lower/),
    );
    expect(() => governancePins([], 1)).toThrow(refusal("config-invalid", /none is given/, /--governance-key/));
  });
});
