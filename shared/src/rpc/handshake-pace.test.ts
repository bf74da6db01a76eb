import { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { paceHandshakes } from "./handshake-pace.js";

function pacedServer() {
  const server = new EventEmitter();
  const begun: Socket[] = [];
  server.on("connection", (socket: Socket) => begun.push(socket));
  paceHandshakes(server);
  const arrive = (count: number) => {
    const sockets = Array.from({ length: count }, () => new Socket());
    for (const socket of sockets) server.emit("connection", socket);
    return sockets;
  };
  return { begun, arrive };
}

it("begins eight handshakes in a turn, the first that came first", async () => {
  const { begun, arrive } = pacedServer();
  const sockets = arrive(20);
  expect(begun).toEqual([]);
  const counts: number[] = [];
  for (let turns = 0; turns < 4; turns++) {
    await turn();
    counts.push(begun.length);
  }
  expect(counts).toEqual([8, 16, 20, 20]);
  expect(begun).toEqual(sockets);
  const [late] = arrive(1);
  await turn();
  expect(begun.at(-1)).toBe(late);
});

it("passes over connections that are lost while they wait", async () => {
  const { begun, arrive } = pacedServer();
  const sockets = arrive(3);
  sockets[1]!.destroy(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
  await turn();
  await turn();
  expect(begun).toEqual([sockets[0], sockets[2]]);
});
