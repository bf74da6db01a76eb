import { setImmediate } from "node:timers/promises";
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";
import { type Clock, systemClock } from "../clock.js";
import { AbortedError, ConsiliumError, type ErrorCode } from "../errors.js";
import type { PeerIdentity } from "../identity/peer-identity.js";
import type { Logger } from "../log.js";
import { callerOf } from "./caller.js";
import { isDisclosable, newCorrelationId, type RpcStatus, toStatus } from "./status.js";
import { drained, interruptible } from "./streams.js";
import { requireReadable } from "./unreadable.js";

/** What a handler knows about its call, besides the request. */
export interface CallContext {
  readonly method: string;
  /** Throws not-authorised where connections carry no certificate, as on the enrolment port. */
  readonly identity: PeerIdentity;
  /** SHA-256 of the caller's certificate and its serial number, hex; empty without a certificate. */
  readonly fingerprint: string;
  readonly serial: string;
  readonly remoteAddress: string;
  /** Fires when the caller cancels, its deadline passes or its connection is lost, and once the call is over. */
  readonly signal: AbortSignal;
}

/** Called for every method; must not throw. */
export interface CallHooks {
  readonly log: Logger;
  readonly clock?: Clock;
  onRejected?(method: string, code: ErrorCode): void;
  onFinished?(method: string, code: ErrorCode | "ok" | "cancelled", durationMs: number): void;
}

/** What calls of every kind share. */
interface SurfaceCall
  extends Pick<ServerUnaryCall<unknown, unknown>, "getPath" | "getPeer" | "getAuthContext" | "cancelled"> {
  once(event: "cancelled", listener: () => void): unknown;
  off(event: "cancelled", listener: () => void): unknown;
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly status: RpcStatus };

export function wrapUnary<Req, Res>(
  handle: (request: Req, context: CallContext) => Promise<Res> | Res,
  hooks: CallHooks,
): handleUnaryCall<Req, Res> {
  return (call, respond) => {
    void serve(call, hooks, async (context) => handle(requireReadable(call.request), context)).then((outcome) =>
      outcome.ok ? respond(null, outcome.value) : respond(outcome.status),
    );
  };
}

/** Breaking off the iteration early answers the caller at once; parts that were not read are discarded. */
export function wrapClientStream<Req, Res>(
  handle: (parts: AsyncIterable<Req>, context: CallContext) => Promise<Res> | Res,
  hooks: CallHooks,
): handleClientStreamingCall<Req, Res> {
  return (call, respond) => {
    void serve(call, hooks, async (context) => handle(receive(call, context.signal), context)).then((outcome) =>
      outcome.ok ? respond(null, outcome.value) : respond(outcome.status),
    );
  };
}

/** The source is read only as fast as the caller reads, and is closed when the caller goes away. */
export function wrapServerStream<Req, Res>(
  handle: (request: Req, context: CallContext) => AsyncIterable<Res>,
  hooks: CallHooks,
): handleServerStreamingCall<Req, Res> {
  return (call) => {
    void serve(call, hooks, async (context) =>
      send(call, handle(requireReadable(call.request), context), context.signal),
    ).then((outcome) => (outcome.ok ? call.end() : call.emit("error", outcome.status)));
  };
}

/** Never rejects. gRPC ends the process for a rejected handler and shows its caller the text of unknown errors. */
async function serve<T>(
  call: SurfaceCall,
  hooks: CallHooks,
  work: (context: CallContext) => Promise<T>,
): Promise<Outcome<T>> {
  const clock = hooks.clock ?? systemClock;
  const startedMs = clock.now();
  const ended = new AbortController();
  const cancel = () => ended.abort();
  call.once("cancelled", cancel);
  if (call.cancelled) cancel();
  const finish = (code: ErrorCode | "ok" | "cancelled") => {
    call.off("cancelled", cancel);
    hooks.onFinished?.(call.getPath(), code, clock.now() - startedMs);
  };
  try {
    const value = await work(contextOf(call, ended.signal));
    finish("ok");
    return { ok: true, value };
  } catch (thrown) {
    const { status, code } = report(thrown, call.getPath(), ended.signal.aborted, hooks);
    finish(code);
    return { ok: false, status };
  } finally {
    ended.abort();
  }
}

function report(
  thrown: unknown,
  method: string,
  cancelled: boolean,
  hooks: CallHooks,
): { status: RpcStatus; code: ErrorCode | "cancelled" } {
  if (cancelled || thrown instanceof AbortedError) return { status: toStatus(new AbortedError()), code: "cancelled" };
  const correlationId = newCorrelationId();
  const status = toStatus(thrown, correlationId);
  if (isDisclosable(thrown)) {
    hooks.onRejected?.(method, thrown.code);
    hooks.log.info("rpc.rejected", { method, code: thrown.code, reason: thrown.message });
    return { status, code: thrown.code };
  }
  const code = thrown instanceof ConsiliumError ? thrown.code : "internal";
  const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  hooks.onRejected?.(method, code);
  hooks.log.error("rpc.failed", { method, code, correlationId, cause });
  return { status, code };
}

function contextOf(call: SurfaceCall, signal: AbortSignal): CallContext {
  const caller = callerOf(call.getAuthContext());
  return {
    method: call.getPath(),
    get identity() {
      if (caller !== undefined) return caller.identity;
      throw new ConsiliumError("not-authorised", `${call.getPath()} needs a connection with a certificate.`);
    },
    fingerprint: caller?.fingerprint ?? "",
    serial: caller?.serial ?? "",
    remoteAddress: call.getPeer(),
    signal,
  };
}

/**
 * A caller that resets its stream first looks like one that is done: gRPC hears of the end one turn of the event loop
 * before it hears of the reset. So the end counts only after that turn.
 */
async function* receive<Req, Res>(call: ServerReadableStream<Req, Res>, signal: AbortSignal): AsyncGenerator<Req> {
  try {
    for await (const part of call) yield requireReadable(part);
  } catch (thrown) {
    throw signal.aborted ? new AbortedError() : thrown;
  }
  await setImmediate();
  if (signal.aborted) throw new AbortedError();
}

async function send<Req, Res>(
  call: ServerWritableStream<Req, Res>,
  source: AsyncIterable<Res>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of interruptible(source, signal)) {
    if (!call.write(message)) await drained(call, signal);
  }
}
