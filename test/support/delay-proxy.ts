import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface DelayProxy {
  readonly port: number;
  stop(): Promise<void>;
}

/** What may be on its way in one direction: of a fast line, more than any window that is measured over it. */
const lineBytes = 64 << 20;

/** Passes TCP on to a port of this machine, each byte half a round trip later, at whatever rate comes in. */
export async function startDelayProxy(targetPort: number, roundTripMs: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay());
      socket.on("error", () => socket.destroy());
      socket.once("close", () => sockets.delete(socket));
    }
    carry(client, upstream, roundTripMs / 2);
    carry(upstream, client, roundTripMs / 2);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function carry(from: Socket, to: Socket, delayMs: number): void {
  const line: { readonly atMs: number; readonly bytes: Buffer | undefined }[] = [];
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;
  const deliver = () => {
    timer = undefined;
    while (line[0] !== undefined && line[0].atMs <= performance.now()) {
      const { bytes } = line.shift()!;
      if (bytes === undefined) to.end();
      else if (!to.destroyed) to.write(bytes);
      underWay -= bytes?.length ?? 0;
    }
    if (underWay < lineBytes) from.resume();
    if (line[0] !== undefined) timer = setTimeout(deliver, Math.max(0, line[0].atMs - performance.now()));
  };
  const put = (bytes: Buffer | undefined) => {
    line.push({ atMs: performance.now() + delayMs, bytes });
    underWay += bytes?.length ?? 0;
    if (underWay >= lineBytes) from.pause();
    if (timer === undefined) timer = setTimeout(deliver, delayMs);
  };
  from.on("data", put);
  from.once("end", () => put(undefined));
  from.once("close", () => to.destroyed || put(undefined));
}
