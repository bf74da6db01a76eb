import {
  type CallOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { AbortedError } from "../errors.js";
import { fromStatus } from "./status.js";
import { drained, interruptible } from "./streams.js";

export interface CallLimits {
  /** Defaults to 60 s for unary calls and to none for streams. Infinity waits for ever. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

type Reply<Res> = (error: ServiceError | null, response: Res) => void;
type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
  reply: Reply<Res>,
) => ClientUnaryCall;
type ClientStreamMethod<Req, Res> = (
  metadata: Metadata,
  options: Partial<CallOptions>,
  reply: Reply<Res>,
) => ClientWritableStream<Req>;
type ServerStreamMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
) => ClientReadableStream<Res>;

/** `method` is bound: `client.report.bind(client)`. Rejects with a ConsiliumError, or AbortedError for the signal. */
export function callUnary<Req, Res>(
  method: UnaryMethod<Req, Res>,
  request: Req,
  { timeoutMs = 60_000, signal }: CallLimits = {},
): Promise<Res> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError());
    const call = method(request, new Metadata(), deadlineIn(timeoutMs), (error, response) => {
      release();
      if (error === null) resolve(response);
      else reject(failure(error, signal));
    });
    const release = cancelOnAbort(call, signal);
  });
}

/**
 * Sends the parts as fast as the coordinator reads them. The answer may come before all parts are sent; then the rest
 * is not asked for. What `parts` throws cancels the call and is rethrown.
 */
export async function callClientStream<Req, Res>(
  method: ClientStreamMethod<Req, Res>,
  parts: AsyncIterable<Req>,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: CallLimits = {},
): Promise<Res> {
  if (signal?.aborted) throw new AbortedError();
  const answered = new AbortController();
  let call: ClientWritableStream<Req> | undefined;
  const answer = new Promise<Res>((resolve, reject) => {
    call = method(new Metadata(), deadlineIn(timeoutMs), (error, response) => {
      answered.abort();
      if (error === null) resolve(response);
      else reject(failure(error, signal));
    });
  });
  const release = cancelOnAbort(call, signal);
  try {
    if (call !== undefined) await sendParts(call, parts, answered.signal);
    return await answer;
  } catch (thrown) {
    answer.catch(() => {});
    throw thrown;
  } finally {
    release();
    call?.cancel();
  }
}

/** Reads only as fast as it is iterated. Breaking off the iteration ends the call. */
export async function* callServerStream<Req, Res>(
  method: ServerStreamMethod<Req, Res>,
  request: Req,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: CallLimits = {},
): AsyncGenerator<Res> {
  if (signal?.aborted) throw new AbortedError();
  const call = method(request, new Metadata(), deadlineIn(timeoutMs));
  // Cancelling makes gRPC emit an error when nobody listens any more.
  call.on("error", () => {});
  const release = cancelOnAbort(call, signal);
  try {
    for await (const message of call) yield message as Res;
  } catch (thrown) {
    throw failure(thrown, signal);
  } finally {
    release();
    call.cancel();
  }
}

async function sendParts<Req>(
  call: ClientWritableStream<Req>,
  parts: AsyncIterable<Req>,
  answered: AbortSignal,
): Promise<void> {
  try {
    for await (const part of interruptible(parts, answered)) {
      if (!call.write(part)) await drained(call, answered);
    }
    call.end();
  } catch (thrown) {
    if (!(thrown instanceof AbortedError && answered.aborted)) throw thrown;
  }
}

function deadlineIn(timeoutMs: number): Partial<CallOptions> {
  return Number.isFinite(timeoutMs) ? { deadline: Date.now() + timeoutMs } : {};
}

function cancelOnAbort(call: { cancel(): void } | undefined, signal: AbortSignal | undefined): () => void {
  const cancel = () => call?.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
}

function failure(thrown: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return new AbortedError();
  return isServiceError(thrown) ? fromStatus(thrown) : thrown;
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && "code" in thrown && "details" in thrown && "metadata" in thrown;
}
