import { ConsiliumError } from "@consilium/shared/errors.js";
import { codeKey } from "@consilium/shared/rpc/status.js";
import { type ServiceError, status } from "@grpc/grpc-js";

/** Statuses with which gRPC also reports that a connection was cut in the middle of a call. */
const cuts: readonly number[] = [status.INTERNAL, status.UNKNOWN, status.CANCELLED];

/** The same failure, said as "unreachable" when it came from the connection and not from the coordinator. */
export function brokenAsUnreachable(thrown: unknown): unknown {
  if (!(thrown instanceof ConsiliumError) || !isServiceError(thrown.cause)) return thrown;
  const { code, metadata } = thrown.cause;
  if (metadata.get(codeKey).length > 0 || !cuts.includes(code)) return thrown;
  return new ConsiliumError("unreachable", "the connection to the coordinator was cut", { cause: thrown });
}

function isServiceError(cause: unknown): cause is ServiceError {
  return cause instanceof Error && "code" in cause && "metadata" in cause;
}
