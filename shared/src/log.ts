import { pino } from "pino";

/** One line per event. Fields carry codes, counts and ids that the log's reader may see: no secret, path of an image or free text from outside. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Names of fields that must never reach a log, whoever passes them. */
const redacted = ["token", "key", "secret", "password", "privateKey"];

type PinoLike = Pick<ReturnType<typeof pino>, "debug" | "info" | "warn" | "error" | "child">;

function fromPino(target: PinoLike): Logger {
  return {
    debug: (event, fields) => target.debug(fields ?? {}, event),
    info: (event, fields) => target.info(fields ?? {}, event),
    warn: (event, fields) => target.warn(fields ?? {}, event),
    error: (event, fields) => target.error(fields ?? {}, event),
    child: (fields) => fromPino(target.child(fields)),
  };
}

/** JSON lines on standard error (standard output belongs to a command's result). */
export function createLogger(options: { level: LogLevel; name: string }): Logger {
  const destination = { dest: 2, sync: true };
  return fromPino(
    pino(
      {
        name: options.name,
        level: options.level,
        redact: { paths: redacted, censor: "[redacted]" },
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        base: { name: options.name },
      },
      pino.destination(destination),
    ),
  );
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
