import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import type { RgbImage } from "./image.js";

/** One image that a source can deliver. */
export interface SourceItem {
  /** Stable between listings and restarts; unique in its source. */
  readonly id: string;
  /** Differs whenever the content may have changed. */
  readonly stamp: string;
  /** Images of one patient or lesion share it. */
  readonly group?: string;
  readonly label?: string;
  readonly split?: string;
}

/** Where images come from: a folder, later slides, DICOM or an archive. */
export interface ImageSource {
  /**
   * In the same order whenever the same items are there.
   * @throws ConsiliumError "input-unreadable" when the place itself cannot be read, "not-enough-data" when nothing is chosen.
   */
  list(): Promise<readonly SourceItem[]>;
  /** @throws UnreadableImage for this image only; ConsiliumError "input-unreadable" when the place fails. */
  read(item: SourceItem): Promise<RgbImage>;
  close(): Promise<void>;
}

export const unreadableReasons = [
  "missing",
  "empty",
  "no-permission",
  "file-too-large",
  "too-many-pixels",
  "unsupported-format",
  "unsupported-pixels",
  "truncated",
  "damaged",
] as const;
export type UnreadableReason = (typeof unreadableReasons)[number];

const unsupported: readonly UnreadableReason[] = ["unsupported-format", "unsupported-pixels"];

function codeOf(reason: UnreadableReason): ErrorCode {
  return unsupported.includes(reason) ? "input-unsupported" : "input-unreadable";
}

/** One image that cannot be trained on. Training goes on without it. */
export class UnreadableImage extends ConsiliumError {
  readonly reason: UnreadableReason;

  constructor(id: string, reason: UnreadableReason, options: { detail?: string; cause?: unknown } = {}) {
    const detail = options.detail === undefined ? "" : ` (${options.detail})`;
    super(codeOf(reason), `image ${id}: ${reason}${detail}`, {
      remedy: "replace the file or leave it out; `consilium-agent check-data` lists all such files",
      cause: options.cause,
    });
    this.reason = reason;
  }
}
