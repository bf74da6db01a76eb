import { createHash } from "node:crypto";
import type { Entropy } from "@consilium/shared/entropy.js";

/** The same bytes for the same seed, so that a test's outcome does not depend on luck. */
export function seededEntropy(seed: string): Entropy {
  let calls = 0;
  return {
    bytes(length) {
      const call = calls++;
      const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) =>
        createHash("sha256").update(`${seed}/${call}/${block}`).digest(),
      );
      return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
    },
  };
}
