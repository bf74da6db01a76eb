import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { type Rig, startRig } from "../../../test/support/rpc-rig.js";
import type { TlsBundle } from "../identity/key-files.js";
import { silentLogger } from "../log.js";
import { callUnary } from "./calls.js";
import { Connections } from "./connections.js";
import { SitePhase } from "./gen/federation.js";
import type { ServerLimits } from "./server.js";

let test: TestFederation;
let rig: Rig | undefined;
const sockets: Socket[] = [];

beforeAll(async () => {
  test = await createTestFederation();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await rig?.stop();
  rig = undefined;
});
afterAll(() => test.remove());

async function begin(limits: Partial<ServerLimits>): Promise<Rig> {
  rig = await startRig({ test, server: { limits } });
  return rig;
}

/** A call over a connection of its own; rejects where the connection was not kept. */
function report(started: Rig, bundle: TlsBundle, siteId: string): Promise<unknown> {
  const { federation } = started.connect(bundle);
  const message = {
    ...{ key: undefined, siteId, phase: SitePhase.TRAINING },
    ...{ code: "", clause: "", stepsDone: 1, accused: "" },
  };
  return callUnary(federation.report.bind(federation), message, { timeoutMs: 5_000 });
}

/** Connects and says nothing. */
async function silentSocket({ port }: Rig): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

describe("the connections of a server", () => {
  it("are few for one caller, and others are served all the same", async () => {
    const started = await begin({ connectionsPerCaller: 2 });
    const [greedy, modest] = [await test.bundle("site", "hospital-a"), await test.bundle("site", "hospital-b")];
    await report(started, greedy, "hospital-a");
    await report(started, greedy, "hospital-a");
    await expect(report(started, greedy, "hospital-a")).rejects.toMatchObject({ code: "unreachable" });
    await report(started, modest, "hospital-b");
    expect(started.recorder.rejected).toContainEqual({ method: "tls", code: "overloaded" });
  });

  it("that say nothing are few from one address, until one of them is gone", async () => {
    const started = await begin({ handshakesPerAddress: 2 });
    const [first] = [await silentSocket(started), await silentSocket(started)];
    const third = await silentSocket(started);
    await once(third, "close");
    expect(started.recorder.rejected).toContainEqual({ method: "tls", code: "overloaded" });
    first!.destroy();
    const bundle = await test.bundle("site", "hospital-a");
    await expect
      .poll(() =>
        report(started, bundle, "hospital-a").then(
          () => "served",
          () => "refused",
        ),
      )
      .toBe("served");
  });

  it("are limited in all", async () => {
    const started = await begin({ connections: 1 });
    await report(started, await test.bundle("site", "hospital-a"), "hospital-a");
    const second = await silentSocket(started);
    await once(second, "close");
    expect(started.recorder.rejected).toContainEqual({ method: "tls", code: "overloaded" });
  });

  it("do not end the process where grpc-js answers a stream that is gone", () => {
    const limits = { connections: 1, handshakesPerAddress: 1, connectionsPerCaller: 1 };
    const server = createSecureServer();
    // As grpc-js does at a call that is none, and Node for a stream that is gone.
    server.on("stream", (stream) => stream.respond({ ":status": 415 }, { endStream: true }));
    new Connections(limits, { log: silentLogger }).watch(server, "nothing");
    const stream = (gone: boolean, answers: string[]) => {
      const respond = () => {
        if (gone) throw new Error("The stream has been destroyed");
        answers.push("answered");
      };
      return { destroyed: gone, closed: gone, respond };
    };
    const answers: string[] = [];
    server.emit("stream", stream(true, answers));
    expect(answers).toEqual([]);
    server.emit("stream", stream(false, answers));
    expect(answers).toEqual(["answered"]);
  });
});
