import { createHash } from "node:crypto";
import { chunksOfBytes } from "@consilium/shared/rpc/chunks.js";
import type { LaunchPart } from "@consilium/shared/rpc/gen/admin.js";
import type { LaunchRequest, WarmStart } from "./admin-types.js";

/** A launch with weights as it travels: header, values in chunks, seal. Holds one block of values at a time. */
export async function* launchParts(request: LaunchRequest & WarmStart): AsyncGenerator<LaunchPart> {
  const { values, ...header } = request;
  yield { part: { $case: "header", value: header } };
  const hash = createHash("sha256");
  let sent = 0;
  for await (const block of values) {
    const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    hash.update(bytes);
    for (const { offset, data } of chunksOfBytes(bytes)) {
      yield { part: { $case: "values", value: { offset: sent + offset, data } } };
    }
    sent += bytes.length;
  }
  yield { part: { $case: "seal", value: { sha256: hash.digest() } } };
}
