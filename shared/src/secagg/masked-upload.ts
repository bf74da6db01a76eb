import { setImmediate } from "node:timers/promises";
import { ConsiliumError } from "../errors.js";
import { addMask, subtractMask } from "./mask.js";

/** 256 KiB, a size that streams well. */
export const uploadChunkWords = 2 ** 16;

/** A mask that both ends of a pair know, and the sign with which this site adds it. */
export interface PairwiseMask {
  readonly key: Uint8Array;
  readonly sign: 1 | -1;
}

/** Fills `words` with the encoded words that begin at `firstWord`. Called in order, from word 0 to the last. */
export type EncodeWords = (words: Uint32Array, firstWord: number) => void;

export interface MaskingInput {
  readonly words: number;
  /** A fresh encoder for each pass; every pass gives the same words. */
  readonly encoder: () => EncodeWords;
  /** k_u, for the mask that only this site knows until the unmask stage. */
  readonly selfKey: Uint8Array;
  readonly pairwise: readonly PairwiseMask[];
  /** Keys of the encoding, such as its noise's; overwritten with the masks'. */
  readonly secrets?: readonly Uint8Array[];
  /** The site's signature under a digest of all masked words. */
  readonly seal: (sha256: Uint8Array) => Uint8Array;
}

/**
 * A site's update as the coordinator may see it. Its only constructor adds a self mask and pairwise masks, so what has
 * this type cannot be an update in the clear; it is the one type that an upload accepts.
 */
export class MaskedUpload {
  /** Number of 32-bit words: parameters, then lanes. */
  readonly words: number;
  readonly #input: MaskingInput;
  #erased = false;

  private constructor(input: MaskingInput) {
    this.words = input.words;
    this.#input = input;
  }

  /** Takes over the keys in `input`; `erase` overwrites them. */
  static mask(input: MaskingInput): MaskedUpload {
    // site-check: pairwise-mask
    if (input.pairwise.length === 0) {
      throw new ConsiliumError("internal", "without a pairwise mask the sum would be the site's own update");
    }
    return new MaskedUpload(input);
  }

  /**
   * The masked words as little-endian bytes, 256 KiB at a time; the event loop turns between chunks. Every iteration
   * gives identical bytes.
   * @throws ConsiliumError "stale" once erased, "not-finite" when the update holds a value that cannot be encoded
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const encode = this.#input.encoder();
    for (let first = 0; first < this.words; first += uploadChunkWords) {
      const words = new Uint32Array(Math.min(uploadChunkWords, this.words - first));
      this.#fill(words, first, encode);
      yield new Uint8Array(words.buffer);
      await setImmediate();
    }
  }

  /**
   * The site's signature that it uploaded the words with this digest.
   * @throws ConsiliumError "stale" once erased
   */
  seal(sha256: Uint8Array): Uint8Array {
    this.#requireLive();
    return this.#input.seal(sha256);
  }

  /** Forgets the mask keys. Chunks not yet produced never will be: a zeroed key would mask nothing. */
  erase(): void {
    this.#erased = true;
    this.#input.selfKey.fill(0);
    for (const { key } of this.#input.pairwise) key.fill(0);
    for (const key of this.#input.secrets ?? []) key.fill(0);
  }

  #fill(words: Uint32Array, firstWord: number, encode: EncodeWords): void {
    // site-check: masks-not-erased
    this.#requireLive();
    encode(words, firstWord);
    addMask(words, { key: this.#input.selfKey, firstWord });
    for (const { key, sign } of this.#input.pairwise) {
      if (sign === 1) addMask(words, { key, firstWord });
      else subtractMask(words, { key, firstWord });
    }
  }

  #requireLive(): void {
    if (this.#erased) throw new ConsiliumError("stale", "the attempt is over; its masks were erased");
  }
}
