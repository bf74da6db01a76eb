import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import { toStatus } from "./status.js";

/** Ends a call whose sender owes the rest of a message for too long; without it a half-sent message lives for ever. */
class WatchedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #stallMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(call: ServerInterceptingCallInterface, stallMs: number) {
    super(call, {
      start: (next) =>
        next({
          onReceiveMessage: (message, forward) => {
            this.#disarm();
            forward(message);
          },
          onReceiveHalfClose: (forward) => {
            this.#disarm();
            forward();
          },
          onCancel: () => this.#disarm(),
        }),
    });
    this.#call = call;
    this.#stallMs = stallMs;
  }

  /** Called when the server wants the next message, so time that the server itself needs is not counted. */
  override startRead(): void {
    this.#disarm();
    this.#timer = setTimeout(() => this.#stalled(), this.#stallMs);
    super.startRead();
  }

  #stalled(): void {
    const reason = `No complete message arrived within ${this.#stallMs} ms.`;
    this.#call.sendStatus(toStatus(new ConsiliumError("deadline", reason)));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

export function stallInterceptor(stallMs: number): ServerInterceptor {
  return (_method, call) => new WatchedCall(call, stallMs);
}
