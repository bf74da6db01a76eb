import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { UnmaskFailedError } from "../secagg/reconstruct.js";
import type { FinishedRound } from "./finish-round.js";

/** What the thread says when it ends. Errors cross as data: a thread boundary strips an error of its class. */
export type FinishReport =
  | { readonly kind: "finished"; readonly finished: FinishedRound }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly remedy: string | undefined;
      /** Present for an UnmaskFailedError. */
      readonly suspects: readonly string[] | undefined;
    };

export function reportFailure(error: ConsiliumError): FinishReport {
  const { code, message, remedy } = error;
  const suspects = error instanceof UnmaskFailedError ? error.suspects : undefined;
  return { kind: "failed", code, message, remedy, suspects };
}

/** @throws ConsiliumError or UnmaskFailedError as the thread met it */
export function unwrapReport(report: FinishReport): FinishedRound {
  if (report.kind === "finished") return report.finished;
  const { code, message, remedy, suspects } = report;
  if (suspects !== undefined) throw new UnmaskFailedError(message, suspects);
  throw new ConsiliumError(code, message, remedy === undefined ? {} : { remedy });
}
