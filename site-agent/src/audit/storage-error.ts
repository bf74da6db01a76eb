import { ConsiliumError } from "@consilium/shared/errors.js";

/** What cannot be written down is not done: the error with which an act ends whose entry did not reach the disk. */
export function notWritten(cause: unknown): ConsiliumError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new ConsiliumError(
    "storage",
    `the audit log cannot be written (${code}), so nothing that needs an entry is done`,
    {
      remedy: full
        ? "free disk space where the agent's home lies; the agent goes on by itself"
        : "check the folder 'audit' of the agent's home: its owner, its permissions and the disk",
      cause,
    },
  );
}

export function damagedLog(): ConsiliumError {
  return new ConsiliumError("storage", "the last line of the audit log is not one that this program wrote", {
    remedy: "run 'consilium-agent audit verify', keep a copy of the folder 'audit', and move it out of the home",
  });
}
