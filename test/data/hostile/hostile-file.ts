import type { SourceKind } from "@consilium/site-agent/data/data-settings.js";

/** What reading a file comes to: a reason of UnreadableImage, "read", or "place" when the source fails as a whole. */
export type Outcome = string;

/** A file that somebody may put into a site's folder, by mistake or on purpose. */
export interface HostileFile {
  readonly source: SourceKind;
  /** Name below the folder. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly allowed: readonly Outcome[];
}

/** Damage that cannot always be told from an image. */
export const damaged: readonly Outcome[] = [
  ...["truncated", "damaged", "empty", "unsupported-format", "unsupported-pixels", "too-many-pixels", "file-too-large"],
];

/** What sources leave out on purpose, as a damaged header may say anything. */
export const leftOut: readonly Outcome[] = [
  "no-pixels",
  "burned-in",
  "modality-excluded",
  "too-small",
  "no-tissue",
  "missing",
];
