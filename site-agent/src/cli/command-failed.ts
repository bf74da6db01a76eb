import type { ConsiliumError } from "@consilium/shared/errors.js";

/** A command's answer is no: said as the error, with an exit code of its own. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly error: ConsiliumError;
  readonly exitCode: number;

  constructor(error: ConsiliumError, exitCode: number) {
    super(error.message);
    this.error = error;
    this.exitCode = exitCode;
  }
}
