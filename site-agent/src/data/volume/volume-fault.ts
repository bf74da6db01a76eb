import type { UnreadableReason } from "../source.js";

/** What is wrong with a volume, before it is known by which name the source calls it. */
export class VolumeFault extends Error {
  override readonly name = "VolumeFault";
  readonly reason: UnreadableReason;

  /** @param detail holds no name, path or value of a patient */
  constructor(reason: UnreadableReason, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}
