import { constants, type ServerHttp2Stream } from "node:http2";
import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import { ownerOf } from "./caller.js";
import type { CallHooks } from "./serve-call.js";
import { toStatus } from "./status.js";

/** gRPC keeps what has come of a message until the rest is there; these bound how much that may be. */
export interface PartialLimits {
  /** Over all calls of one site or person; on the enrolment port, of one address. */
  readonly partialBytesPerCaller: number;
  readonly partialBytes: number;
}

/** What a piece costs besides its bytes. Whoever sends single bytes pays for what they take. */
const pieceBytes = 256;
const headerBytes = 5;
/** Time for the status to be sent: the end of a stream overtakes what waits to be sent on it. */
const farewellMs = 500;

/** How much of an unfinished message one call has sent: gRPC's framing is one flag and four bytes of length. */
export class MessageMeter {
  readonly #header = Buffer.alloc(headerBytes);
  #headerRead = 0;
  #remaining = 0;
  #held = 0;

  /** Bytes held since the last message was whole. */
  get held(): number {
    return this.#held;
  }

  take(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) at += this.#step(piece.subarray(at));
    if (this.#headerRead > 0) this.#held += pieceBytes;
  }

  #step(rest: Uint8Array): number {
    const inHeader = this.#headerRead < headerBytes;
    const length = Math.min(rest.length, inHeader ? headerBytes - this.#headerRead : this.#remaining);
    this.#held += length;
    if (inHeader) {
      this.#header.set(rest.subarray(0, length), this.#headerRead);
      this.#headerRead += length;
      if (this.#headerRead === headerBytes) this.#remaining = this.#header.readUInt32BE(1);
    } else {
      this.#remaining -= length;
    }
    if (this.#headerRead === headerBytes && this.#remaining === 0) this.#headerRead = this.#held = 0;
    return length;
  }
}

interface Sender {
  readonly owner: string;
  held: number;
  readonly end: () => void;
}

/** The unfinished messages of one server. Over a limit, the largest of those concerned is given up. */
export class PartialMessages {
  readonly #limits: PartialLimits;
  readonly #hooks: CallHooks;
  readonly #senders = new Map<string, Set<Sender>>();
  #held = 0;

  constructor(limits: PartialLimits, hooks: CallHooks) {
    this.#limits = limits;
    this.#hooks = hooks;
  }

  /** Bytes of all of them. */
  get held(): number {
    return this.#held;
  }

  /** Must be the first of a server's interceptors, where the call still is the stream's own. */
  readonly interceptor: ServerInterceptor = ({ path }, call) => {
    const stream = streamOf(call);
    const meter = new MessageMeter();
    const sender: Sender = {
      ...{ owner: ownerOf(call), held: 0 },
      end: () => {
        this.#note(sender, 0);
        this.#giveUp(path, call, stream);
      },
    };
    // After gRPC's own listener, so that what it has taken is counted, and a message that is whole counts no more.
    stream.on("data", (piece: Buffer) => {
      meter.take(piece);
      this.#note(sender, meter.held);
      this.#keepWithin(sender.owner);
    });
    stream.once("close", () => this.#note(sender, 0));
    return new ServerInterceptingCall(call);
  };

  #note(sender: Sender, held: number): void {
    const { owner } = sender;
    this.#held += held - sender.held;
    sender.held = held;
    const own = this.#senders.get(owner) ?? new Set();
    if (held === 0) own.delete(sender);
    else own.add(sender);
    if (own.size === 0) this.#senders.delete(owner);
    else this.#senders.set(owner, own);
  }

  #keepWithin(owner: string): void {
    const own = this.#senders.get(owner) ?? new Set();
    if (sumOf(own) > this.#limits.partialBytesPerCaller) largest(own).end();
    else if (this.#held > this.#limits.partialBytes) largest(this.#greediest()).end();
  }

  /** The senders of whoever has most: who is modest must not pay for the greedy. */
  #greediest(): Set<Sender> {
    return [...this.#senders.values()].reduce((most, own) => (sumOf(own) > sumOf(most) ? own : most));
  }

  #giveUp(path: string, call: ServerInterceptingCallInterface, stream: ServerHttp2Stream): void {
    this.#hooks.onRejected?.(path, "overloaded");
    call.sendStatus(toStatus(new ConsiliumError("overloaded", "Too much is under way of messages that do not end.")));
    // Else gRPC would go on taking in what comes after the status.
    stream.removeAllListeners("data");
    stream.resume();
    setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), farewellMs);
  }
}

const sumOf = (senders: Iterable<Sender>): number => [...senders].reduce((sum, { held }) => sum + held, 0);

const largest = (senders: Iterable<Sender>): Sender => [...senders].reduce((a, b) => (b.held > a.held ? b : a));

/** gRPC offers no way to it. A release that renames the field fails the tests of this file. */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const stream: unknown = Reflect.get(call, "stream");
  if (isStream(stream)) return stream;
  throw new ConsiliumError("internal", "This version of grpc-js keeps a call's stream elsewhere.");
}

function isStream(value: unknown): value is ServerHttp2Stream {
  return typeof value === "object" && value !== null && "close" in value && "on" in value;
}
