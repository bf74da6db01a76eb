import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";

/** Of a few milliseconds each: enough for every turn to have some work, and too few to keep the others waiting. */
const perTurn = 8;

/**
 * Lets a server begin a few TLS handshakes in each turn of its event loop, in the order in which the connections came, so
 * that those begun are worked off before others begin. When hundreds of sites come at once, as after a restart, all their
 * handshakes would otherwise go on side by side, none would end in time, and all would come again.
 * A caller that says nothing holds up nobody.
 */
export function paceHandshakes(server: EventEmitter): void {
  const begin = server.listeners("connection");
  server.removeAllListeners("connection");
  let waiting: Socket[] = [];
  const nextTurn = () => {
    const [now, later] = [waiting.slice(0, perTurn), waiting.slice(perTurn)];
    waiting = later;
    if (later.length > 0) setImmediate(nextTurn);
    for (const socket of now) {
      socket.off("error", ignore);
      if (!socket.destroyed) for (const listener of begin) listener.call(server, socket);
    }
  };
  server.on("connection", (socket: Socket) => {
    // A connection that is lost while it waits is no concern of anyone's.
    socket.on("error", ignore);
    if (waiting.push(socket) === 1) setImmediate(nextTurn);
  });
}

function ignore(): void {}
