import { describe, expect, it } from "vitest";
import { subtractMask } from "./mask.js";
import { MaskedUpload, type MaskingInput, uploadChunkWords } from "./masked-upload.js";

const keys = { self: Buffer.alloc(32, 1), added: Buffer.alloc(32, 2), taken: Buffer.alloc(32, 3) };

function input(words: number): MaskingInput {
  return {
    words,
    encoder: () => (target, firstWord) => {
      for (let i = 0; i < target.length; i++) target[i] = firstWord + i;
    },
    selfKey: Buffer.from(keys.self),
    pairwise: [
      { key: Buffer.from(keys.added), sign: 1 },
      { key: Buffer.from(keys.taken), sign: -1 },
    ],
    seal: (sha256) => sha256.slice(0, 8),
  };
}

async function bytesOf(upload: MaskedUpload): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of upload.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe("MaskedUpload", () => {
  it("is the encoded words under its masks", async () => {
    const count = uploadChunkWords + 5;
    const bytes = await bytesOf(MaskedUpload.mask(input(count)));
    const words = new Uint32Array(new Uint8Array(bytes).buffer);
    subtractMask(words, { key: keys.self, firstWord: 0 });
    subtractMask(words, { key: keys.added, firstWord: 0 });
    const taken = new Uint32Array(count);
    subtractMask(taken, { key: keys.taken, firstWord: 0 });
    expect(words.every((word, i) => (word - taken[i]!) >>> 0 === i)).toBe(true);
  });

  it("gives identical bytes each time", async () => {
    const upload = MaskedUpload.mask(input(3 * uploadChunkWords + 1));
    expect((await bytesOf(upload)).equals(await bytesOf(upload))).toBe(true);
  });

  it("lets other work run between chunks", async () => {
    const upload = MaskedUpload.mask(input(4 * uploadChunkWords));
    let turns = 0;
    const count = () => {
      turns++;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    await bytesOf(upload);
    clearImmediate(immediate);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it("stops once its keys are erased, even in the middle", async () => {
    const given = input(2 * uploadChunkWords);
    const upload = MaskedUpload.mask(given);
    const chunks = upload.chunks();
    await chunks.next();
    upload.erase();
    await expect(chunks.next()).rejects.toThrow(/erased/);
    await expect(bytesOf(upload)).rejects.toThrow(/erased/);
    expect(given.selfKey.every((byte) => byte === 0)).toBe(true);
  });

  it("refuses to be made without a pairwise mask", () => {
    expect(() => MaskedUpload.mask({ ...input(1), pairwise: [] })).toThrow(/pairwise/);
  });
});
