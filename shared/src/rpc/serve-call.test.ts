import { Client, type Metadata } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { type Rig, type RigOptions, startRig } from "../../../test/support/rpc-rig.js";
import { deferred } from "../abort.js";
import { ConsiliumError } from "../errors.js";
import { callClientStream, callServerStream, callUnary } from "./calls.js";
import { type Chunk, chunksOfBytes } from "./chunks.js";
import { SitePhase } from "./gen/federation.js";
import type { UploadPart } from "./gen/secagg.js";
import { wrapClientStream, wrapServerStream, wrapUnary } from "./serve-call.js";

let test: TestFederation;
let rig: Rig | undefined;
beforeAll(async () => {
  test = await createTestFederation();
});
afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});
afterAll(() => test.remove());

const report = {
  key: undefined,
  siteId: "hospital-a",
  phase: SitePhase.TRAINING,
  code: "",
  clause: "",
  stepsDone: 1,
  accused: "",
};
const fetchRequest = { key: undefined, digest: Buffer.alloc(32), offset: 0 };
const chunkPart = (index: number, bytes = 256 * 1024): UploadPart => ({
  part: { $case: "chunk", value: { index, words: Buffer.alloc(bytes) } },
});

async function connect(options: Omit<RigOptions, "test">) {
  rig = await startRig({ test, ...options });
  const { channel, federation, secagg } = rig.connect(await test.bundle("site", "hospital-a"));
  return {
    rig,
    channel,
    report: (timeoutMs?: number, signal?: AbortSignal) =>
      callUnary(federation.report.bind(federation), report, {
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      }),
    fetch: (signal?: AbortSignal) =>
      callServerStream(
        federation.fetchCheckpoint.bind(federation),
        fetchRequest,
        signal === undefined ? {} : { signal },
      ),
    upload: (parts: AsyncIterable<UploadPart>, signal?: AbortSignal) =>
      callClientStream(secagg.upload.bind(secagg), parts, signal === undefined ? {} : { signal }),
  };
}

describe("wrapUnary", () => {
  it("tells the handler who calls, and the hooks how it went", async () => {
    let seen: unknown;
    const calls = await connect({
      federation: (hooks) => ({
        report: wrapUnary(async (request, { identity, method, remoteAddress, serial, fingerprint }) => {
          seen = { identity, method, serial: serial.length, fingerprint: fingerprint.length, steps: request.stepsDone };
          expect(remoteAddress).toContain("127.0.0.1");
          return {};
        }, hooks),
      }),
    });
    await calls.report();
    const method = "/consilium.v1.FederationService/Report";
    expect(seen).toEqual({
      identity: { federation: "demo", role: "site", id: "hospital-a" },
      method,
      serial: 32,
      fingerprint: 64,
      steps: 1,
    });
    expect(calls.rig.recorder.finished).toEqual([{ method, code: "ok" }]);
  });

  it.each([
    [
      "thrown at once",
      () => {
        throw new Error("/srv/patients/list.csv");
      },
    ],
    ["thrown later", () => Promise.reject(new Error("/srv/patients/list.csv"))],
    ["that is no error", () => Promise.reject("/srv/patients/list.csv")],
  ])("hides an unknown failure %s, logs it, and lives on", async (_what, fail: () => never | Promise<never>) => {
    const calls = await connect({ federation: (hooks) => ({ report: wrapUnary(fail, hooks) }) });
    const error = await calls.report().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "internal", message: expect.stringMatching(/reference [0-9a-f]{12}/) });
    expect(String(error)).not.toContain("patients");
    const failed = calls.rig.recorder.logged.find(({ event }) => event === "rpc.failed");
    expect(failed?.fields["cause"]).toContain("patients");
    expect(String(error)).toContain(failed?.fields["correlationId"]);
    await expect(calls.report()).rejects.toMatchObject({ code: "internal" });
  });

  it("passes on code, text and remedy of an error that was meant for the caller, and counts it", async () => {
    const calls = await connect({
      federation: (hooks) => ({
        report: wrapUnary(
          () => Promise.reject(new ConsiliumError("stale", "Round 3 is over.", { remedy: "Wait." })),
          hooks,
        ),
      }),
    });
    await expect(calls.report()).rejects.toMatchObject({ code: "stale", message: "Round 3 is over.", remedy: "Wait." });
    expect(calls.rig.recorder.rejected).toEqual([{ method: "/consilium.v1.FederationService/Report", code: "stale" }]);
  });

  it("fires the signal when the caller gives up or its deadline passes", async () => {
    const entered = [deferred<void>(), deferred<void>()];
    const left = [deferred<void>(), deferred<void>()];
    let calling = 0;
    const calls = await connect({
      federation: (hooks) => ({
        report: wrapUnary(async (_request, { signal }) => {
          const mine = calling++;
          entered[mine]!.resolve();
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          left[mine]!.resolve();
          return {};
        }, hooks),
      }),
    });
    const giveUp = new AbortController();
    const first = calls.report(60_000, giveUp.signal).catch((error: unknown) => error);
    await entered[0]!.promise;
    giveUp.abort();
    await left[0]!.promise;
    expect(await first).toMatchObject({ name: "AbortedError" });
    const second = calls.report(300).catch((error: unknown) => error);
    await left[1]!.promise;
    expect(await second).toMatchObject({ code: "deadline" });
    expect(calls.rig.recorder.rejected).toEqual([]);
  });
});

describe("wrapServerStream", () => {
  it("delivers a checkpoint byte for byte", async () => {
    const bytes = Buffer.alloc(3_000_001, "consilium");
    const calls = await connect({
      federation: (hooks) => ({
        fetchCheckpoint: wrapServerStream(async function* () {
          yield* chunksOfBytes(bytes);
        }, hooks),
      }),
    });
    const parts: Buffer[] = [];
    for await (const { data } of calls.fetch()) parts.push(data);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  });

  it("reads the source no faster than the caller reads, and closes it when the caller leaves", async () => {
    let produced = 0;
    const closed = deferred<void>();
    const calls = await connect({
      federation: (hooks) => ({
        fetchCheckpoint: wrapServerStream(async function* (): AsyncGenerator<Chunk> {
          try {
            for (;;) yield { offset: 0, data: Buffer.alloc(256 * 1024, produced++) };
          } finally {
            closed.resolve();
          }
        }, hooks),
      }),
    });
    const stream = calls.fetch();
    await stream.next();
    // The source may fill the windows and the streams' own buffers, and then has to wait for the reader.
    let before = -1;
    while (before !== produced) {
      before = produced;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(produced).toBeLessThan(200);
    await stream.return(undefined);
    await closed.promise;
  });

  it("delivers what came before a failure, and then the failure", async () => {
    const calls = await connect({
      federation: (hooks) => ({
        fetchCheckpoint: wrapServerStream(async function* () {
          yield { offset: 0, data: Buffer.from("a") };
          throw new ConsiliumError("not-found", "The checkpoint is gone.");
        }, hooks),
      }),
    });
    const stream = calls.fetch();
    expect((await stream.next()).value?.data.toString()).toBe("a");
    await expect(stream.next()).rejects.toMatchObject({ code: "not-found", message: "The checkpoint is gone." });
  });

  it("answers a source that cannot even begin", async () => {
    const calls = await connect({
      federation: (hooks) => ({
        fetchCheckpoint: wrapServerStream(() => {
          throw new ConsiliumError("stale", "Too late.");
        }, hooks),
      }),
    });
    await expect(calls.fetch().next()).rejects.toMatchObject({ code: "stale" });
  });

  it("stops waiting for a source that never looks at the signal", async () => {
    const leave = new AbortController();
    const next = () => {
      setImmediate(() => leave.abort());
      return new Promise<never>(() => {});
    };
    const calls = await connect({
      federation: (hooks) => ({
        fetchCheckpoint: wrapServerStream(() => ({ [Symbol.asyncIterator]: () => ({ next }) }), hooks),
      }),
    });
    const waiting = calls.fetch(leave.signal).next();
    await expect(waiting).rejects.toMatchObject({ name: "AbortedError" });
    await expect.poll(() => calls.rig.recorder.finished.at(-1)?.code).toBe("cancelled");
  });
});

describe("wrapClientStream", () => {
  it("hands over all parts in order", async () => {
    let sum = 0;
    const calls = await connect({
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          for await (const { part } of parts) if (part?.$case === "chunk") sum = sum * 10 + part.value.index;
          return { outcome: { $case: "survivors", value: { uploads: [] } } };
        }, hooks),
      }),
    });
    const answer = await calls.upload(
      (async function* () {
        for (const index of [1, 2, 3, 4]) yield chunkPart(index, 8);
      })(),
    );
    expect(answer.outcome).toMatchObject({ $case: "survivors" });
    expect(sum).toBe(1234);
  });

  it("makes a fast sender wait for a slow reader", async () => {
    let sent = 0;
    const gate = deferred<void>();
    let received = 0;
    const calls = await connect({
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          await gate.promise;
          for await (const _part of parts) received += 1;
          return { outcome: undefined };
        }, hooks),
      }),
    });
    const total = 250;
    const uploading = calls.upload(
      (async function* () {
        while (sent < total) yield chunkPart(sent++);
      })(),
    );
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(200);
    gate.resolve();
    await uploading;
    expect(received).toBe(total);
  });

  it("answers early, and the sender stops", async () => {
    const calls = await connect({
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          for await (const _part of parts) throw new ConsiliumError("update-invalid", "The vector is too long.");
          return { outcome: undefined };
        }, hooks),
      }),
    });
    const uploading = calls.upload(
      (async function* () {
        for (let index = 0; ; index++) yield chunkPart(index);
      })(),
    );
    await expect(uploading).rejects.toMatchObject({ code: "update-invalid" });
  });

  it("notices a sender that leaves or fails in the middle", async () => {
    const outcome = deferred<unknown>();
    const began = deferred<void>();
    const calls = await connect({
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          try {
            for await (const _part of parts) began.resolve();
          } catch (error) {
            outcome.resolve(error);
            throw error;
          }
          return { outcome: undefined };
        }, hooks),
      }),
    });
    const uploading = calls.upload(
      (async function* () {
        yield chunkPart(0);
        await began.promise;
        throw new Error("the disk failed");
      })(),
    );
    await expect(uploading).rejects.toThrow("the disk failed");
    expect(await outcome.promise).toMatchObject({ name: "AbortedError" });
    expect(calls.rig.recorder.rejected).toEqual([]);
  });

  it("ends a call whose message never comes", async () => {
    const calls = await connect({
      server: { limits: { stallMs: 200 } },
      secagg: (hooks) => ({
        upload: wrapClientStream(async (parts) => {
          for await (const _part of parts);
          return { outcome: undefined };
        }, hooks),
      }),
    });
    const uploading = calls.upload(
      (async function* () {
        yield chunkPart(0);
        await new Promise(() => {});
      })(),
    );
    await expect(uploading).rejects.toMatchObject({ code: "deadline" });
    expect(rig?.recorder.rejected).toEqual([{ method: "/consilium.v1.SecAggService/Upload", code: "deadline" }]);
  });
});

describe("bytes that are no message", () => {
  it("are refused and counted, and the server lives on", async () => {
    const calls = await connect({});
    const raw = calls.channel.client(Client);
    const identity = (bytes: Buffer) => bytes;
    const call = callUnary<Buffer, Buffer>(
      (request, metadata: Metadata, options, reply) =>
        raw.makeUnaryRequest(
          "/consilium.v1.FederationService/Report",
          identity,
          identity,
          request,
          metadata,
          options,
          (error, value) => reply(error, value ?? Buffer.alloc(0)),
        ),
      Buffer.from("ffffffffffffffff", "hex"),
    );
    await expect(call).rejects.toMatchObject({ code: "input-unreadable" });
    expect(rig?.recorder.rejected).toEqual([
      { method: "/consilium.v1.FederationService/Report", code: "input-unreadable" },
    ]);
    await calls.report();
  });
});
