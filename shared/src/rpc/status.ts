import { randomBytes } from "node:crypto";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { AbortedError, ConsiliumError, type ErrorCode } from "../errors.js";

/** What a call ends with on the wire. */
export interface RpcStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Trailing metadata that carries a ConsiliumError across the wire. The remedy is binary, since it may be any text. */
export const codeKey = "consilium-code";
export const remedyKey = "consilium-remedy-bin";
const longestText = 2000;

const statusOf: Readonly<Record<ErrorCode, status>> = {
  "config-invalid": status.INVALID_ARGUMENT,
  "config-missing": status.FAILED_PRECONDITION,
  "input-unreadable": status.INVALID_ARGUMENT,
  "input-unsupported": status.INVALID_ARGUMENT,
  "not-enough-data": status.FAILED_PRECONDITION,
  "certificate-refused": status.UNAUTHENTICATED,
  "token-refused": status.UNAUTHENTICATED,
  "roster-refused": status.FAILED_PRECONDITION,
  "not-authorised": status.PERMISSION_DENIED,
  "not-found": status.NOT_FOUND,
  "already-exists": status.ALREADY_EXISTS,
  "policy-refused": status.FAILED_PRECONDITION,
  "plan-invalid": status.INVALID_ARGUMENT,
  stale: status.FAILED_PRECONDITION,
  dropped: status.ABORTED,
  "attempt-aborted": status.ABORTED,
  "update-invalid": status.INVALID_ARGUMENT,
  "message-conflict": status.FAILED_PRECONDITION,
  "share-invalid": status.INVALID_ARGUMENT,
  "aggregate-invalid": status.INTERNAL,
  "digest-mismatch": status.DATA_LOSS,
  "training-failed": status.INTERNAL,
  "not-finite": status.INVALID_ARGUMENT,
  "kernel-missing": status.UNIMPLEMENTED,
  "out-of-memory": status.RESOURCE_EXHAUSTED,
  unreachable: status.UNAVAILABLE,
  overloaded: status.RESOURCE_EXHAUSTED,
  deadline: status.DEADLINE_EXCEEDED,
  storage: status.INTERNAL,
  internal: status.INTERNAL,
};

/** For statuses that arrive without our own code: from gRPC itself, from a proxy. */
const codeOf: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.CANCELLED]: "unreachable",
  [status.UNAVAILABLE]: "unreachable",
  [status.DEADLINE_EXCEEDED]: "deadline",
  [status.RESOURCE_EXHAUSTED]: "overloaded",
  [status.UNAUTHENTICATED]: "certificate-refused",
  [status.PERMISSION_DENIED]: "not-authorised",
  [status.NOT_FOUND]: "not-found",
  [status.ALREADY_EXISTS]: "already-exists",
  [status.INVALID_ARGUMENT]: "input-unsupported",
  [status.UNIMPLEMENTED]: "input-unsupported",
};

/** In the place of gRPC's own texts, which are about load balancing and method paths. */
const plainText: Readonly<Partial<Record<status, string>>> = {
  [status.DEADLINE_EXCEEDED]: "The coordinator did not answer in time.",
  [status.UNIMPLEMENTED]: "What listens on this port does not know this request.",
};

const remedyElsewhere =
  "Use the coordinator's port for members (7700 by default), not the one for joining; check that both programs have the same version.";

const remedyOf: Readonly<Partial<Record<ErrorCode, string>>> = {
  unreachable: "Check that the coordinator runs and that its host and port can be reached from here.",
  deadline: "Try again; if it stays slow, look at the coordinator's load and the network between.",
  overloaded: "Try again in a moment.",
};

/** True when message and remedy may be shown to the caller. Others can hold paths, or text from anywhere. */
export function isDisclosable(thrown: unknown): thrown is ConsiliumError {
  return thrown instanceof ConsiliumError && thrown.code !== "internal" && thrown.code !== "storage";
}

export function newCorrelationId(): string {
  return randomBytes(6).toString("hex");
}

/** Anything but a disclosable ConsiliumError becomes a fixed text with the id under which the log has the cause. */
export function toStatus(thrown: unknown, correlationId: string = newCorrelationId()): RpcStatus {
  const metadata = new Metadata();
  if (thrown instanceof AbortedError) return { code: status.CANCELLED, details: "The call was cancelled.", metadata };
  if (!isDisclosable(thrown)) {
    metadata.set(codeKey, "internal");
    return {
      code: status.INTERNAL,
      details: `The coordinator failed internally (reference ${correlationId}).`,
      metadata,
    };
  }
  metadata.set(codeKey, thrown.code);
  if (thrown.remedy !== undefined) metadata.set(remedyKey, Buffer.from(printable(thrown.remedy)));
  return { code: statusOf[thrown.code], details: printable(thrown.message), metadata };
}

/** The error that the other side raised. Its text is cut and stripped of control characters: it goes to terminals. */
export function fromStatus(error: ServiceError): ConsiliumError {
  const sent = sentCode(error);
  const code = sent ?? codeOf[error.code] ?? "internal";
  const elsewhere = sent === undefined && error.code === status.UNIMPLEMENTED;
  const remedy = error.metadata?.get(remedyKey)[0]?.toString() ?? (elsewhere ? remedyElsewhere : remedyOf[code]);
  const own = sent === undefined ? plainText[error.code] : undefined;
  const text = own ?? (error.details || error.message);
  return new ConsiliumError(code, printable(text), {
    ...(remedy === undefined ? {} : { remedy: printable(remedy) }),
    cause: error,
  });
}

function sentCode(error: ServiceError): ErrorCode | undefined {
  const sent = error.metadata?.get(codeKey)[0]?.toString();
  return sent !== undefined && isErrorCode(sent) ? sent : undefined;
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(statusOf, text);
}

/** gRPC percent-encodes the text and throws on lone surrogates; encoding to UTF-8 and back replaces them. */
function printable(text: string): string {
  const wellFormed = Buffer.from(text.slice(0, longestText), "utf8").toString("utf8");
  return wellFormed.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ");
}
