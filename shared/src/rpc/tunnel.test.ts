import { type AddressInfo, createServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type ConnectProxyOptions, startConnectProxy } from "../../../test/support/connect-proxy.js";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { startRig } from "../../../test/support/rpc-rig.js";
import type { TlsBundle } from "../identity/key-files.js";
import { callUnary } from "./calls.js";
import { openChannel } from "./channel.js";
import { FederationServiceClient } from "./gen/federation.js";
import { diagnoseConnection } from "./probe.js";
import type { HttpProxy } from "./proxy.js";
import { openTunnel } from "./tunnel.js";

let federation: TestFederation;
let bundle: TlsBundle;
const undo: (() => unknown)[] = [];
beforeAll(async () => {
  federation = await createTestFederation();
  bundle = await federation.bundle("site", "hospital-a");
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});
afterAll(() => federation.remove());

async function proxied(options: ConnectProxyOptions = {}) {
  const proxy = await startConnectProxy(options);
  undo.push(() => proxy.stop());
  return proxy;
}

async function rigged() {
  const rig = await startRig({ test: federation });
  undo.push(() => rig.stop());
  return rig;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const at = (port: number, credentials?: string): HttpProxy => ({
  host: "127.0.0.1",
  port,
  ...(credentials === undefined ? {} : { credentials }),
});

const request = { siteId: "hospital-a", csrPem: "" };

describe("a channel through a proxy", () => {
  it("calls with both ends' certificates, and again after the tunnel was cut", async () => {
    const [rig, proxy] = [await rigged(), await proxied({ credentials: "agent:p:ss" })];
    const route = { host: "localhost", port: rig.port, proxy: at(proxy.port, "agent:p:ss") };
    const channel = openChannel({ ...route, federation: "demo", bundle });
    undo.push(() => channel.close());
    expect(channel.address).toBe(`localhost:${rig.port}`);
    const client = channel.client(FederationServiceClient);
    await callUnary(client.renewCertificate.bind(client), request);
    expect(proxy.tunnels).toEqual([`localhost:${rig.port}`]);
    proxy.cut();
    await expect
      .poll(
        () =>
          callUnary(client.renewCertificate.bind(client), request).then(
            () => "answered",
            () => "failed",
          ),
        { timeout: 10_000 },
      )
      .toBe("answered");
    expect(proxy.tunnels).toHaveLength(2);
  });

  it("refuses a server behind the proxy that is not the coordinator", async () => {
    const impostor = await createTestFederation({ federation: "demo", key: federation.key });
    undo.push(() => impostor.remove());
    const { certPem: cert, keyPem: key } = await impostor.bundle("coordinator", "coordinator");
    const port = await listening(createTlsServer({ cert, key, ALPNProtocols: ["h2"] }).on("tlsClientError", () => {}));
    const route = { host: "localhost", port, proxy: at((await proxied()).port) };
    const channel = openChannel({ ...route, federation: "demo", bundle });
    undo.push(() => channel.close());
    await expect(channel.ready(1000)).rejects.toMatchObject({ code: "unreachable" });
    expect((await diagnoseConnection({ ...route, federation: "demo", bundle })).reason).toBe("wrong-authority");
  });

  it("goes straight where no proxy is given, whatever the environment says", async () => {
    const rig = await rigged();
    process.env["grpc_proxy"] = "http://127.0.0.1:1";
    undo.push(() => delete process.env["grpc_proxy"]);
    const { channel } = rig.connect(bundle);
    await channel.ready(5000);
  });
});

describe("openTunnel", () => {
  const reasonOf = async (proxy: HttpProxy, port = 1) => {
    const found = await diagnoseConnection({
      host: "localhost",
      port,
      federation: "demo",
      bundle,
      proxy,
      timeoutMs: 500,
    });
    expect(found.message).toContain(`${proxy.host}:${proxy.port}`);
    expect(JSON.stringify(found)).not.toContain("hunter2");
    return found.reason;
  };

  it("says what the proxy answered", async () => {
    expect(await reasonOf(at((await proxied({ credentials: "a:b" })).port, "a:hunter2"))).toBe("proxy-login");
    expect(await reasonOf(at((await proxied({ refuseWith: 403 })).port))).toBe("proxy-denied");
    expect(await reasonOf(at((await proxied()).port))).toBe("proxy-no-route");
    expect(await reasonOf(at((await proxied({ refuseWith: 504 })).port))).toBe("proxy-no-route");
  });

  it("says that there is no proxy", async () => {
    expect(await reasonOf(at(1))).toBe("proxy-refused");
    expect(await reasonOf({ host: "no-such-proxy.invalid", port: 3128 })).toBe("proxy-unreachable");
    const mail = createServer((socket) => void socket.on("error", () => {}).end("220 mail.example ESMTP\r\n"));
    expect(await reasonOf(at(await listening(mail)))).toBe("not-a-proxy");
    const closing = createServer((socket) => void socket.on("error", () => {}).destroy());
    expect(await reasonOf(at(await listening(closing)))).toBe("not-a-proxy");
    const silent = createServer((socket) => void undo.push(() => socket.destroy()));
    expect(await reasonOf(at(await listening(silent)))).toBe("proxy-timeout");
  });

  it("hands on the connection, with what came right behind the answer", async () => {
    const eager = createServer((socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nhello"));
    const proxy = at(await listening(eager));
    const socket = await openTunnel({ host: "localhost", port: 7700, proxy, timeoutMs: 500 });
    let text = "";
    for await (const part of socket) text += String(part);
    expect(text).toBe("hello");
  });
});
