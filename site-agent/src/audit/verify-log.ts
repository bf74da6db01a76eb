import { parseLine } from "./chain.js";
import { ChainCheck } from "./chain-check.js";
import { listSegments, readLines, type Segment } from "./segments.js";
import { readSignedHead, type SignedHead } from "./signed-head.js";
import type { Verification } from "./verification.js";

/**
 * Recomputes a whole log: chain, signatures, files. A cut of the very end is found as far back as the last signature; an
 * end that was cut together with `head.json` only by what the coordinator witnessed.
 * @param publicKey raw Ed25519 key of the site's identity, 32 bytes
 */
export function verifyLog(directory: string, publicKey: Uint8Array): Verification {
  // Read first, since the agent may go on writing.
  const signed = readSignedHead(directory, publicKey);
  const segments = listSegments(directory);
  const check = new ChainCheck(firstKey(segments) ?? publicKey);
  followAll(check, segments, publicKey);
  if (check.broken === undefined) compareWithHead(check, signed);
  const { broken, entries, checkpoints, unsigned, firstAt, lastAt, head, recovered, witnessed } = check;
  return {
    ...{ intact: broken === undefined, broken, entries, segments: segments.length, checkpoints, unsigned },
    ...{ firstAt, lastAt, head, recovered, witnessed },
  };
}

/** The key that the log's first change of keys replaces; undefined where there is none. */
function firstKey(segments: readonly Segment[]): Uint8Array | undefined {
  for (const { path } of segments) {
    for (const { bytes } of readLines(path)) {
      // Most lines need no parsing to be passed over.
      const entry = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(rotated)
        ? parseLine(bytes)
        : undefined;
      if (entry?.action === "identity.rotated") return new Uint8Array(Buffer.from(entry.object.before, "hex"));
    }
  }
  return undefined;
}

const rotated = "identity.rotated";

function followAll(check: ChainCheck, segments: readonly Segment[], publicKey: Uint8Array): void {
  for (const { number, path } of segments) {
    for (const line of readLines(path)) {
      if (!check.take(number, line)) return;
    }
  }
  check.finish(publicKey);
}

function compareWithHead(check: ChainCheck, signed: SignedHead | undefined): void {
  if (signed === undefined) {
    if (check.checkpoints > 0) check.fault("truncated", "head.json, which names the last signed entry, is gone");
    return;
  }
  if (signed.covers > check.lastSeq) {
    check.fault("truncated", `the site signed entry ${signed.covers}, the log ends with entry ${check.lastSeq}`);
    return;
  }
  const hash = check.hashOf(signed.covers);
  if (hash !== undefined && hash !== signed.head) {
    check.fault("changed", `entry ${signed.covers} is not the one that the site signed last`);
  }
}
