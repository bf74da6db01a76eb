import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import type { CallHooks } from "./serve-call.js";
import { toStatus } from "./status.js";

/** Ends a call whose sender owes the rest of a message for too long; without it a half-sent message lives for ever. */
class WatchedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #stallMs: number;
  readonly #onStalled: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(call: ServerInterceptingCallInterface, stallMs: number, onStalled: () => void) {
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
    this.#onStalled = onStalled;
  }

  /** Called when the server wants the next message, so time that the server itself needs is not counted. */
  override startRead(): void {
    this.#disarm();
    this.#timer = setTimeout(() => this.#stalled(), this.#stallMs);
    super.startRead();
  }

  #stalled(): void {
    this.#onStalled();
    const reason = `No complete message arrived within ${this.#stallMs} ms.`;
    this.#call.sendStatus(toStatus(new ConsiliumError("deadline", reason)));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

export function stallInterceptor(stallMs: number, hooks: CallHooks): ServerInterceptor {
  return ({ path }, call) => new WatchedCall(call, stallMs, () => hooks.onRejected?.(path, "deadline"));
}
