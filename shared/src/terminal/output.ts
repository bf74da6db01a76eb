import { AbortedError, asConsiliumError, ConsiliumError, describeError, type ErrorCode } from "../errors.js";
import { printable } from "./format.js";

/** What a command needs of standard output and standard error. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** Exit codes that scripts may rely on, the same for both commands. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  /** Wrong arguments, a file that does not fit its schema, images that cannot be used. */
  usage: 2,
  notAuthorised: 3,
  notFound: 4,
  unreachable: 5,
  /** A site's policy said no, or the run ended otherwise than completed. */
  refused: 6,
  interrupted: 130,
} as const;

const exitCodeOf: Record<ErrorCode, number> = {
  "config-invalid": exitCodes.usage,
  "config-missing": exitCodes.usage,
  "input-unreadable": exitCodes.usage,
  "input-unsupported": exitCodes.usage,
  "not-enough-data": exitCodes.usage,
  "already-exists": exitCodes.usage,
  "certificate-refused": exitCodes.notAuthorised,
  "token-refused": exitCodes.notAuthorised,
  "not-authorised": exitCodes.notAuthorised,
  "not-found": exitCodes.notFound,
  unreachable: exitCodes.unreachable,
  overloaded: exitCodes.unreachable,
  deadline: exitCodes.unreachable,
  "policy-refused": exitCodes.refused,
  "roster-refused": exitCodes.refused,
  "plan-invalid": exitCodes.refused,
  stale: exitCodes.refused,
  dropped: exitCodes.refused,
  "attempt-aborted": exitCodes.refused,
  "update-invalid": exitCodes.refused,
  "message-conflict": exitCodes.refused,
  "share-invalid": exitCodes.refused,
  "aggregate-invalid": exitCodes.refused,
  "training-failed": exitCodes.refused,
  "not-finite": exitCodes.refused,
  "digest-mismatch": exitCodes.internal,
  "kernel-missing": exitCodes.internal,
  "out-of-memory": exitCodes.usage,
  storage: exitCodes.internal,
  internal: exitCodes.internal,
};

/** The exit code of a command that ended with this error; a command-line parser's own errors (help and version aside) are usage errors. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof AbortedError) return exitCodes.interrupted;
  if (error instanceof ConsiliumError) return exitCodeOf[error.code];
  const parser = parserError(error);
  if (parser === undefined) return exitCodes.internal;
  return parser.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}

/** Commander reports a usage error, and the showing of help, as an error whose code begins with "commander.". */
export function parserError(error: unknown): { code: string; exitCode: number } | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("exitCode" in error)) return undefined;
  const { code, exitCode } = error;
  if (typeof code !== "string" || !code.startsWith("commander.") || typeof exitCode !== "number") return undefined;
  return { code, exitCode };
}

export interface OutputOptions {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** Standard output carries JSON documents, one per line, and nothing else. */
  readonly json: boolean;
}

/** Where a command writes: results on standard output, everything said on the way on standard error. */
export class Output {
  readonly json: boolean;
  readonly stdout: TextStream;
  readonly stderr: TextStream;

  constructor({ stdout, stderr, json }: OutputOptions) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.json = json;
  }

  /** A result: the document in JSON mode, the lines otherwise. */
  result(document: unknown, lines: () => string | readonly string[]): void {
    this.document(document);
    if (this.json) return;
    const text = lines();
    for (const line of typeof text === "string" ? [text] : text) this.line(line);
  }

  /** One JSON document on a line of its own; nothing in human mode. */
  document(document: unknown): void {
    if (this.json) this.stdout.write(`${JSON.stringify(document)}\n`);
  }

  /** A line for people; nothing in JSON mode. */
  line(text = ""): void {
    if (!this.json) this.stdout.write(`${printable(text)}\n`);
  }

  /** A remark on the way, on standard error in both modes, so that a pipe carries only the result. */
  note(text: string): void {
    this.stderr.write(`${printable(text)}\n`);
  }

  /** Says what went wrong and what to do; each cause on a line of its own when there are several. */
  error(thrown: unknown): void {
    const [first = "", ...rest] = describeError(asConsiliumError(thrown)).split("\n");
    this.note(`error: ${first}`);
    for (const line of rest) this.note(line.startsWith("  ") ? line : `       ${line}`);
  }
}
