import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

export interface ConnectProxyOptions {
  /** `user:password` that callers must give. */
  readonly credentials?: string;
  /** Answers every request with this status. */
  readonly refuseWith?: number;
  /** Addresses of names that only this proxy knows. */
  readonly names?: Readonly<Record<string, string>>;
}

export interface ConnectProxy {
  readonly port: number;
  /** `host:port` of each tunnel that was opened, in order. */
  readonly tunnels: readonly string[];
  /** Cuts every tunnel that is open. */
  cut(): void;
  stop(): Promise<void>;
}

/** An HTTP proxy on loopback that does nothing but CONNECT. */
export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("connect", ({ url = "", headers }, client: Socket, head: Buffer) => {
    client.on("error", () => client.destroy());
    const status = options.refuseWith ?? (isLoggedIn(headers["proxy-authorization"], options) ? 200 : 407);
    if (status !== 200) return void client.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\n\r\n`);
    const { hostname, port } = new URL(`http://${url}`);
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const upstream = connect(Number(port === "" ? 80 : port), options.names?.[host] ?? host);
    sockets.add(upstream);
    upstream.once("close", () => {
      sockets.delete(upstream);
      client.destroy();
    });
    client.once("close", () => upstream.destroy());
    upstream.on("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
    upstream.once("connect", () => {
      tunnels.push(url);
      upstream.removeAllListeners("error").on("error", () => client.destroy());
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    tunnels,
    cut,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

function isLoggedIn(given: string | undefined, { credentials }: ConnectProxyOptions): boolean {
  return credentials === undefined || given === `Basic ${Buffer.from(credentials).toString("base64")}`;
}
