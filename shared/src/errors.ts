/** Every failure that a person or another process may see has one of these codes. Each is documented where it is thrown. */
export type ErrorCode =
  // configuration and input
  | "config-invalid"
  | "config-missing"
  | "input-unreadable"
  | "input-unsupported"
  | "not-enough-data"
  // identity
  | "certificate-refused"
  | "token-refused"
  | "roster-refused"
  | "not-authorised"
  | "not-found"
  | "already-exists"
  // rounds
  | "policy-refused"
  | "plan-invalid"
  | "stale"
  | "dropped"
  | "attempt-aborted"
  | "update-invalid"
  | "message-conflict"
  | "share-invalid"
  | "aggregate-invalid"
  | "digest-mismatch"
  // training
  | "training-failed"
  | "not-finite"
  | "kernel-missing"
  | "out-of-memory"
  // surroundings
  | "unreachable"
  | "overloaded"
  | "deadline"
  | "storage"
  | "internal";

/** An error that names the thing, the reason and the remedy. `message` holds the first two. */
export class ConsiliumError extends Error {
  override readonly name = "ConsiliumError";
  readonly code: ErrorCode;
  /** What the reader can do about it; shown on its own line. */
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** Thrown by waits whose signal was aborted. Never logged as a failure. */
export class AbortedError extends Error {
  override readonly name = "AbortedError";
  constructor(message = "aborted") {
    super(message);
  }
}

/** Wraps anything that was thrown, keeping the code of a ConsiliumError. */
export function asConsiliumError(thrown: unknown): ConsiliumError {
  if (thrown instanceof ConsiliumError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ConsiliumError("internal", message, { cause: thrown });
}

/** Message and remedy as a person reads them in a terminal or log. */
export function describeError(thrown: unknown): string {
  const error = asConsiliumError(thrown);
  return error.remedy === undefined ? error.message : `${error.message}\n  → ${error.remedy}`;
}

/** For the default branch of a switch over a union: compiling proves that every variant is handled. */
export function unreachable(value: never): never {
  throw new ConsiliumError("internal", `unexpected value ${JSON.stringify(value)}`);
}
