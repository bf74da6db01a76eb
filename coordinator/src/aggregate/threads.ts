import { Worker } from "node:worker_threads";
import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { UnmaskFailedError } from "../secagg/reconstruct.js";

/** What the two threads of a sum have in common: how they are started, and how failures cross. */

/** Whether this is compiled. Sources cannot be loaded by a thread. */
export const canStartThreads = import.meta.url.endsWith(".js");

/** Runs a compiled file, without the process's own loaders: it needs none, and they would delay its start. */
export function startThread(entry: URL, workerData: unknown): Worker {
  return new Worker(entry, { workerData, execArgv: [] });
}

/** What went wrong on a thread. Errors cross as data: a thread boundary strips an error of its class. */
export interface ThreadFailure {
  readonly kind: "failed";
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string | undefined;
  /** Present for an UnmaskFailedError. */
  readonly suspects: readonly string[] | undefined;
}

export function reportFailure(error: ConsiliumError): ThreadFailure {
  const { code, message, remedy } = error;
  const suspects = error instanceof UnmaskFailedError ? error.suspects : undefined;
  return { kind: "failed", code, message, remedy, suspects };
}

/** The ConsiliumError or UnmaskFailedError as the thread met it. */
export function reportedError({ code, message, remedy, suspects }: ThreadFailure): ConsiliumError {
  if (suspects !== undefined) return new UnmaskFailedError(message, suspects);
  return new ConsiliumError(code, message, remedy === undefined ? {} : { remedy });
}
