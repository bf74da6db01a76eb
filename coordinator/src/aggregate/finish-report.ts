import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { UnmaskFailedError } from "../secagg/reconstruct.js";
import type { FinishedRound } from "./finish-round.js";

/** What went wrong on a thread. Errors cross as data: a thread boundary strips an error of its class. */
export interface ThreadFailure {
  readonly kind: "failed";
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string | undefined;
  /** Present for an UnmaskFailedError. */
  readonly suspects: readonly string[] | undefined;
}

/** What the thread that sums a round says when it ends. */
export type FinishReport = { readonly kind: "finished"; readonly finished: FinishedRound } | ThreadFailure;

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
