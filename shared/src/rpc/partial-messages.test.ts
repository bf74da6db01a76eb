import type { ClientHttp2Stream } from "node:http2";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { frame, RawConnection, replyOf } from "../../../test/support/raw-http2.js";
import { type Rig, startRig } from "../../../test/support/rpc-rig.js";
import { randomFor } from "../random.js";
import { callUnary } from "./calls.js";
import { SecAggServiceService } from "./gen/secagg.js";
import { MessageMeter } from "./partial-messages.js";
import { wrapClientStream } from "./serve-call.js";

const uploadPath = SecAggServiceService.upload.path;
const resourceExhausted = 8;
const mib = 1 << 20;

describe("MessageMeter", () => {
  it("counts from the last whole message on, wherever the pieces are cut", () => {
    const bytes = Buffer.concat([frame(Buffer.alloc(100)), frame(Buffer.alloc(0)), frame(Buffer.alloc(7))]);
    const random = randomFor("pieces");
    for (let trial = 0; trial < 200; trial++) {
      const meter = new MessageMeter();
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + random.integer(40);
        meter.take(bytes.subarray(at, at + length));
        at += length;
      }
      expect(meter.held).toBe(0);
    }
    const meter = new MessageMeter();
    meter.take(Buffer.concat([bytes, frame(Buffer.alloc(50), { length: 1000 })]));
    expect(meter.held).toBe(55 + 256);
    meter.take(Buffer.alloc(1));
    expect(meter.held).toBe(56 + 512);
    meter.take(Buffer.alloc(949));
    expect(meter.held).toBe(0);
    meter.take(Buffer.alloc(3));
    expect(meter.held).toBe(3 + 256);
  });
});

describe("messages that do not end", () => {
  let test: TestFederation;
  let rig: Rig;
  const open: RawConnection[] = [];

  beforeAll(async () => {
    test = await createTestFederation();
    rig = await startRig({
      test,
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          for await (const _part of parts);
          return { outcome: undefined };
        }, hooks),
      }),
      server: {
        limits: {
          ...{ partialBytesPerCaller: 4 * mib, partialBytes: 6 * mib },
          // A connection whose ends both wait to be rid of what they wrote does not see the other leave. This does.
          ...{ keepaliveMs: 10_000, keepaliveTimeoutMs: 5_000 },
        },
      },
    });
  }, 60_000);
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    await expect.poll(() => rig.server.partialBytes, { timeout: 40_000 }).toBe(0);
  }, 60_000);
  afterAll(async () => {
    await rig.stop();
    await test.remove();
  });

  async function connect(siteId: string): Promise<RawConnection> {
    const connection = await RawConnection.open(rig.port, await test.bundle("site", siteId));
    open.push(connection);
    return connection;
  }

  const unfinished = frame(Buffer.alloc(2 * mib - 100), { length: 2 * mib });

  /** All but the end of a message of two MiB. */
  function drip(connection: RawConnection): ClientHttp2Stream {
    const stream = connection.begin(uploadPath);
    stream.write(unfinished);
    return stream;
  }

  it("take no more memory than one caller may, whatever it sends, and others are served", async () => {
    const bundle = await test.bundle("site", "hospital-b");
    const connections = await Promise.all(Array.from({ length: 4 }, () => connect("hospital-a")));
    const before = process.memoryUsage();
    let told = 0;
    for (const stream of connections.flatMap((one) => Array.from({ length: 16 }, () => drip(one)))) {
      stream.once("response", (headers) => {
        if (headers["grpc-status"] === String(resourceExhausted)) told++;
      });
    }
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, rig.server.partialBytes);
    }, 5);
    const { federation } = rig.connect(bundle);
    await expect.poll(() => rig.recorder.rejected.length, { timeout: 40_000 }).toBeGreaterThanOrEqual(40);
    await callUnary(federation.renewCertificate.bind(federation), { siteId: "hospital-b", csrPem: "" });
    clearInterval(looking);
    expect(most).toBeLessThanOrEqual(5 * mib);
    // 128 MiB were sent.
    await expect
      .poll(() => process.memoryUsage().arrayBuffers - before.arrayBuffers, { timeout: 20_000 })
      .toBeLessThan(32 * mib);
    await expect.poll(() => told, { timeout: 20_000 }).toBeGreaterThanOrEqual(40);
    expect(rig.recorder.rejected).toContainEqual({ method: uploadPath, code: "overloaded" });
  }, 90_000);

  it("are given up of whoever has most, once all have too much", async () => {
    const [modest, greedy] = [await connect("hospital-a"), await connect("hospital-b")];
    const before = rig.recorder.rejected.length;
    const small = drip(modest);
    const large = [drip(greedy), drip(greedy)];
    const replies = large.map(replyOf);
    await expect.poll(() => rig.recorder.rejected.length, { timeout: 10_000 }).toBeGreaterThan(before);
    const answer = replyOf(small);
    small.end(Buffer.alloc(100));
    expect((await answer).code).toBe(0);
    await Promise.race(replies);
    greedy.close();
    const codes = (await Promise.all(replies)).map(({ code }) => code);
    expect(codes.filter((code) => code === resourceExhausted)).toHaveLength(1);
  }, 30_000);
});
