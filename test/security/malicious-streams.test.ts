import { createHash } from "node:crypto";
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import type { UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HostileFederation, unboundedCalls } from "../support/hostile-federation.js";
import { beginParts, finish, type Ready, readyToUpload, rejectedCalls } from "../support/hostile-rounds.js";
import { insideText } from "../support/inside-text.js";
import { frame, RawConnection, replyOf } from "../support/raw-http2.js";

const names = ["east", "north", "south", "west"];
const uploadPath = "/consilium.v1.SecAggService/Upload";
const invalidArgument = 3;
const deadlineExceeded = 4;
const resourceExhausted = 8;

let federation: HostileFederation;
let ready: Ready[];
let raw: RawConnection;

beforeAll(async () => {
  federation = await HostileFederation.start(names, { stallMs: 1_000, ...unboundedCalls });
}, 60_000);
beforeEach(async () => {
  ready = await readyToUpload(await beginParts(federation, await federation.launch()));
  raw = await RawConnection.open(federation.ports.main, federation.sites[0]!.credentials.bundle);
}, 60_000);
afterEach(async () => {
  raw.close();
  await federation.stopRuns();
});
afterAll(() => federation.stop(), 20_000);

type Part = NonNullable<UploadPart["part"]>;

const sealOf = (sha256: Buffer): Part => ({ $case: "seal", value: { sha256, signature: Buffer.alloc(64) } });

/** East's upload, put together part by part. */
function upload(change: (header: Part, chunks: Part[], seal: Part) => Part[]): Promise<unknown> {
  const { part } = ready[0]!;
  const words = Buffer.alloc(4 * part.words, 9);
  const header: Part = { $case: "header", value: { key: { ...part.key }, siteId: "east", words: part.words } };
  const half = Math.floor(part.words / 2) * 4;
  const chunks: Part[] = [words.subarray(0, half), words.subarray(half)].map((bytes, index) => {
    return { $case: "chunk", value: { index, words: bytes } };
  });
  const seal: Part = sealOf(createHash("sha256").update(words).digest());
  const parts = change(header, chunks, seal);
  return part.uploadParts(
    (async function* () {
      for (const one of parts) yield { part: one };
    })(),
  );
}

/** Whatever one of them did, the round is everyone's: nothing of it was the site's message. */
async function expectRoundOfAll(): Promise<void> {
  for (const outcome of await finish(ready)) expect(outcome).toMatchObject({ kind: "result", cohort: names });
}

describe("parts of an upload that do not follow each other", () => {
  it.each<[string, (header: Part, chunks: Part[], seal: Part) => Part[]]>([
    ["with a gap", (header, [, second], seal) => [header, second!, seal]],
    ["with a chunk twice", (header, [first, second], seal) => [header, first!, first!, second!, seal]],
    ["in another order", (header, [first, second], seal) => [header, second!, first!, seal]],
    ["with a chunk after the seal", (header, chunks, seal) => [header, ...chunks, seal, chunks[0]!]],
    ["with two headers", (header, chunks, seal) => [header, header, ...chunks, seal]],
    ["without a header", (_header, chunks, seal) => [...chunks, seal]],
    ["without a seal", (header, chunks) => [header, ...chunks]],
    ["with a seal over other bytes", (header, chunks) => [header, ...chunks, sealOf(Buffer.alloc(32))]],
  ])("K: an upload %s is refused, counted, and may be sent again", async (what, change) => {
    const code = what === "with a seal over other bytes" ? "digest-mismatch" : "update-invalid";
    const before = await rejectedCalls(federation, "SecAggService/Upload", code);
    await expect(upload(change)).rejects.toMatchObject({ code });
    expect(await rejectedCalls(federation, "SecAggService/Upload", code)).toBe(before + 1);
    await expectRoundOfAll();
  });
});

describe("bytes below the messages", () => {
  it.each([
    ["that unpacks to a thousand times its size", gzipSync(Buffer.alloc(64 << 20)), resourceExhausted],
    ["that is no gzip", Buffer.alloc(2000, 0x1f), undefined],
  ])("K: a compressed message %s is refused before it is unpacked", async (_, packed, code) => {
    const memory = process.memoryUsage().rss;
    const reply = await raw.call(uploadPath, frame(packed, { flag: 1 }), { "grpc-encoding": "gzip" });
    expect(reply.code).not.toBe(0);
    if (code !== undefined) expect(reply.code).toBe(code);
    expect(reply.details).not.toMatch(insideText);
    expect(process.memoryUsage().rss - memory).toBeLessThan(48 << 20);
    await expectRoundOfAll();
  });

  it("K: a message that says to be longer than any may be is refused at its first bytes", async () => {
    const reply = await raw.call(uploadPath, frame(Buffer.alloc(10), { length: 0xffff_ffff }));
    expect(reply).toMatchObject({ code: resourceExhausted });
    await expectRoundOfAll();
  });

  it("K: a message that is shorter than it says ends its call", async () => {
    const stream = raw.begin(uploadPath);
    const reply = replyOf(stream);
    stream.end(frame(Buffer.alloc(10), { length: 1000 }));
    expect((await reply).code).not.toBe(0);
    await expectRoundOfAll();
  });

  it("K: one byte a moment is given up after the time that a message may take", async () => {
    const before = await rejectedCalls(federation, "SecAggService/Upload", "deadline");
    const stream = raw.begin(uploadPath);
    const reply = replyOf(stream);
    stream.write(frame(Buffer.alloc(0), { length: 1000 }));
    const drip = setInterval(() => stream.writable && stream.write(Buffer.alloc(1)), 100);
    expect(await reply).toMatchObject({ code: deadlineExceeded });
    clearInterval(drip);
    expect(await rejectedCalls(federation, "SecAggService/Upload", "deadline")).toBe(before + 1);
    await expectRoundOfAll();
  });

  it("K: ten thousand messages of nothing are refused at the first", async () => {
    const reply = await raw.call(uploadPath, Buffer.concat(Array<Buffer>(10_000).fill(frame(Buffer.alloc(0)))));
    expect(reply).toMatchObject({ code: invalidArgument });
    await expectRoundOfAll();
  });

  it("K: a thousand streams at once are held to what the server takes, and others are served", async () => {
    const replies = Array.from({ length: 1000 }, () => raw.call(uploadPath, frame(Buffer.alloc(0))));
    await expectRoundOfAll();
    for (const { code } of await Promise.all(replies)) expect(code).not.toBe(0);
  });

  it("K: ten thousand streams that are reset as soon as they begin disturb nobody else", async () => {
    for (let number = 0; number < 10_000 && !raw.closed; number++) {
      raw.begin(uploadPath).close(constants.NGHTTP2_CANCEL);
      if (number % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expectRoundOfAll();
  });
});
