import { ConsiliumError } from "../errors.js";
import type { ConnectionReason } from "./connection-reason.js";
import { diagnoseConnection, type ProbeOptions } from "./probe.js";

/** Reasons that lie with a certificate, and that waiting does not cure. */
const lasting: ReadonlySet<ConnectionReason> = new Set([
  "wrong-authority",
  "server-expired",
  "server-not-yet-valid",
  "wrong-role",
  "name-mismatch",
  "own-expired",
  "own-not-yet-valid",
  "own-revoked",
  "own-refused",
  "own-unusable",
]);

/**
 * gRPC says only that there is no connection; a connection of our own finds out why. Other errors stay as they are.
 * @returns what to throw: "certificate-refused" or "unreachable", with the reason and what helps
 */
export async function explainFailure(thrown: unknown, options: ProbeOptions): Promise<unknown> {
  if (!isLoss(thrown)) return thrown;
  const { reason, message, remedy } = await diagnoseConnection(options);
  if (reason === "ok") return thrown;
  const code = lasting.has(reason) ? "certificate-refused" : "unreachable";
  return new ConsiliumError(code, message, { remedy, cause: thrown });
}

/** As `explainFailure` for a connection that stood before: whatever the reason now, it may come back. */
export async function explainLoss(thrown: unknown, options: ProbeOptions): Promise<unknown> {
  if (!isLoss(thrown)) return thrown;
  const { reason, message, remedy } = await diagnoseConnection(options);
  return reason === "ok" ? thrown : new ConsiliumError("unreachable", message, { remedy, cause: thrown });
}

function isLoss(thrown: unknown): boolean {
  return thrown instanceof ConsiliumError && thrown.code === "unreachable";
}
