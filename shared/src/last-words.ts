import { basename } from "node:path";
import { ConsiliumError } from "./errors.js";
import { createLogger, type LogFields } from "./log.js";

/** What nobody caught: Node's name for it. */
export type Uncaught = "uncaughtException" | "unhandledRejection";

/**
 * One line on standard error before the process ends, whatever the level of its log. The text of what was thrown may
 * hold paths, or anything from outside, so only its kind is told, and the place in the program. Never throws.
 */
export function lastWords(name: string, kind: Uncaught, thrown: unknown): void {
  try {
    createLogger({ level: "error", name }).error("crashed", { kind, ...crashFields(thrown) });
  } catch {
    // Nobody reads standard error any more.
  }
}

export function crashFields(thrown: unknown): LogFields {
  if (!(thrown instanceof Error)) return { error: typeof thrown };
  return { error: errorName(thrown), code: codeOf(thrown), where: placeOf(thrown.stack) };
}

function errorName({ name }: Error): string {
  return /^[A-Za-z]{1,60}$/.test(name) ? name : "Error";
}

/** Of this project, or of the system, such as ENOSPC. */
function codeOf(thrown: Error): string | undefined {
  if (thrown instanceof ConsiliumError) return thrown.code;
  const code: unknown = Reflect.get(thrown, "code");
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : undefined;
}

/** "driver.js:120": the innermost place in a file. Lines of the message could look like one, and have no such form. */
function placeOf(stack: string | undefined): string | undefined {
  const frame = /^ {4}at (?:.*\()?(?:file:\/\/)?(\/[^():]+\.m?js):(\d+):\d+\)?$/m.exec(stack ?? "");
  return frame === null ? undefined : `${basename(frame[1]!)}:${frame[2]}`;
}
