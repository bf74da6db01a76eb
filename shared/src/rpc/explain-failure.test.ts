import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { ConsiliumError } from "../errors.js";
import type { TlsBundle } from "../identity/key-files.js";
import { explainFailure, explainLoss } from "./explain-failure.js";

let test: TestFederation;
let bundle: TlsBundle;
let port: number;
beforeAll(async () => {
  test = await createTestFederation();
  bundle = await test.bundle("site", "hospital-a");
  port = await freePort();
});
afterAll(() => test.remove());

/** One on which nothing listens. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

const options = () => ({ host: "127.0.0.1", port, federation: "demo", bundle, timeoutMs: 2000 });
const lost = new ConsiliumError("unreachable", "14 UNAVAILABLE: No connection established. Last error: ECONNREFUSED");

describe("a call that found no connection", () => {
  it("fails with what a probe finds, not with gRPC's words", async () => {
    expect(await explainFailure(lost, options())).toMatchObject({
      code: "unreachable",
      message: `Nothing listens on 127.0.0.1:${port}.`,
      remedy: expect.stringContaining("the coordinator runs"),
      cause: lost,
    });
  });

  it("is the certificate's fault where waiting is of no use, unless it had stood before", async () => {
    const broken = { ...options(), bundle: { ...bundle, keyPem: "nonsense" } };
    const server = createServer((socket) => void socket.on("error", () => {}));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect(await explainFailure(lost, broken)).toMatchObject({ code: "certificate-refused" });
    expect(await explainLoss(lost, broken)).toMatchObject({ code: "unreachable" });
    await new Promise((resolve) => server.close(resolve));
  });

  it("is the only one that is explained", async () => {
    const refused = new ConsiliumError("roster-refused", "it is not JSON");
    expect(await explainFailure(refused, options())).toBe(refused);
    expect(await explainLoss(refused, options())).toBe(refused);
  });
});
