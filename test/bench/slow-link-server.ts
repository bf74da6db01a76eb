import { createHash } from "node:crypto";
import type { UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import { wrapClientStream } from "@consilium/shared/rpc/serve-call.js";
import { createTestFederation } from "../support/identities.js";
import { startRig } from "../support/rpc-rig.js";

/** The coordinator's end of the slow link, in a process of its own: receives and hashes, as an upload is received. */

const test = await createTestFederation();
const rig = await startRig({
  test,
  secagg: (hooks) => ({
    upload: wrapClientStream<UploadPart, { outcome: undefined }>(async (parts) => {
      const hash = createHash("sha256");
      for await (const { part } of parts) if (part?.$case === "chunk") hash.update(part.value.words);
      hash.digest();
      return { outcome: undefined };
    }, hooks),
  }),
});
process.send?.({ port: rig.port, bundle: await test.bundle("site", "hospital-a") });
// Asked before and after: the processor's seconds so far.
process.on("message", () => process.send?.(process.cpuUsage()));
process.once("disconnect", () => void test.remove().then(() => process.exit()));
