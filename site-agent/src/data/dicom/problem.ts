import { ConsiliumError } from "@consilium/shared/errors.js";
import { UnreadableImage, type UnreadableReason } from "../source.js";
import { isStorageFailure, storageFailure } from "../storage-failure.js";

/** Why an object cannot be read, before it is known which image of the source it belongs to. Holds no value of the file. */
export class DicomProblem extends Error {
  override readonly name = "DicomProblem";
  readonly reason: UnreadableReason;

  constructor(reason: UnreadableReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/**
 * Runs a reader of one file and names what went wrong. Parsers and decoders throw strings, RangeErrors and numbers on
 * damaged bytes; all of these become "damaged".
 * @throws UnreadableImage for this file; ConsiliumError "input-unreadable" when the storage fails
 */
export async function readable<T>(id: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) throw thrown;
    if (thrown instanceof DicomProblem) throw new UnreadableImage(id, thrown.reason, { detail: thrown.message });
    if (isStorageFailure(thrown)) throw storageFailure(id, thrown);
    // The cause stays out: its message may quote values of the file.
    throw new UnreadableImage(id, "damaged", { detail: "its data elements or pixels contradict themselves" });
  }
}
