import { createCipheriv } from "node:crypto";
import { endianness } from "node:os";
import { ConsiliumError } from "../errors.js";

/** Masks: the AES-256-CTR keystream with IV 0 under the mask's key, read as little-endian 32-bit words. */

if (endianness() !== "LE") {
  throw new ConsiliumError("input-unsupported", "masks are defined on little-endian machines only");
}

/** 64 KiB: a cipher's output is a new buffer each time, and larger ones cost more to get. */
export const chunkWords = 2 ** 14;
const wordsPerBlock = 4;
// Encrypting zeros gives the keystream. Never written to.
const zeros = Buffer.alloc(4 * chunkWords);

// When the outputs are collected, glibc would return their memory to the system and get it back for the next ones, which
// costs several times what the cipher does. It keeps twice as much free memory as the largest block, up to 32 MiB, that
// it ever returned whole (mallopt(3), M_MMAP_THRESHOLD), so one such block is given to the garbage collector.
Buffer.allocUnsafeSlow(2 ** 25 - 2 ** 13);

/** The counter is 128 bits, big-endian. */
function counterAt(block: number): Buffer {
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(block), 8);
  return counter;
}

/** Keystream words [firstWord, firstWord + count), in chunks of at most `chunkWords`; a chunk is the caller's to keep. */
export function* keystreamChunks(key: Uint8Array, firstWord: number, count: number): Generator<Int32Array> {
  const skipped = firstWord % wordsPerBlock;
  const cipher = createCipheriv("aes-256-ctr", key, counterAt((firstWord - skipped) / wordsPerBlock));
  if (skipped > 0) cipher.update(zeros.subarray(0, 4 * skipped));
  for (let done = 0; done < count; done += chunkWords) {
    const bytes = cipher.update(zeros.subarray(0, 4 * Math.min(chunkWords, count - done)));
    yield wordsOf(bytes);
  }
}

/** The same memory as words, or a copy where it is not aligned. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
}

/** Where the words lie in the mask: `words[0]` gets mask word number `firstWord`. */
export interface MaskRange {
  readonly key: Uint8Array;
  readonly firstWord: number;
}

// Signed views add faster than unsigned ones and wrap to the same 32 bits.
function signedView(words: Uint32Array): Int32Array {
  return new Int32Array(words.buffer, words.byteOffset, words.length);
}

/** words += mask, modulo 2^32. */
export function addMask(words: Uint32Array, { key, firstWord }: MaskRange): void {
  const target = signedView(words);
  let at = 0;
  for (const mask of keystreamChunks(key, firstWord, words.length)) {
    addWords(target, mask, at);
    at += mask.length;
  }
}

/** words −= mask, modulo 2^32. */
export function subtractMask(words: Uint32Array, { key, firstWord }: MaskRange): void {
  const target = signedView(words);
  let at = 0;
  for (const mask of keystreamChunks(key, firstWord, words.length)) {
    subtractWords(target, mask, at);
    at += mask.length;
  }
}

/** target[at + i] += words[i], modulo 2^32. */
export function addWords(target: Int32Array, words: Int32Array, at: number): void {
  for (let i = 0; i < words.length; i++) target[at + i] = (target[at + i]! + words[i]!) | 0;
}

function subtractWords(target: Int32Array, words: Int32Array, at: number): void {
  for (let i = 0; i < words.length; i++) target[at + i] = (target[at + i]! - words[i]!) | 0;
}
