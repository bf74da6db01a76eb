import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import type { RgbImage } from "./image.js";
import type { LabelRow } from "./labels.js";

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
  /** What experts group by: columns of the labels file, and what the file itself says, such as its scanner. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What a source lists without opening it: a file, a folder of one series, an object in an archive. */
export interface SourceFile {
  /** Stable between listings and restarts; unique in its source. */
  readonly id: string;
  /** Differs whenever the content may have changed; only then is it opened again. */
  readonly stamp: string;
  /** Its row in the labels file. */
  readonly row?: LabelRow;
}

/** What a report counts an image under. */
export interface ItemFacts {
  /** jpeg, png, dicom, svs, nifti and so on. */
  readonly format: string;
  /** Pixels of the image as it is stored. */
  readonly width: number;
  readonly height: number;
  /** DICOM's code: CR, CT, SM and so on. */
  readonly modality?: string;
  /** DICOM's unique identifier of the encoding. */
  readonly transferSyntax?: string;
}

export interface FoundItem extends SourceItem {
  readonly facts: ItemFacts;
}

/** Where images come from: a folder of photos, DICOM files or an archive of them, slides, volumes. */
export interface ImageSource {
  /**
   * Everything there is, in the same order whenever the same is there; nothing is opened.
   * @throws ConsiliumError "input-unreadable" when the place itself cannot be read
   */
  files(signal?: AbortSignal): AsyncIterable<SourceFile>;
  /**
   * The images of a file: itself, its frames, slices or tiles.
   * @throws UnreadableImage for this file only; ConsiliumError "input-unreadable" when the place fails
   */
  items(file: SourceFile): Promise<readonly FoundItem[]>;
  /** @throws UnreadableImage for this image only; ConsiliumError "input-unreadable" when the place fails */
  read(item: SourceItem): Promise<RgbImage>;
  close(): Promise<void>;
}

/** No path below a folder holds two slashes in a row, whatever its names are. */
const beforePart = "//";

/** Parts of a file, such as slices and tiles, have ids of their own: the file's, two slashes, and the part. */
export function partId(fileId: string, part: string): string {
  return `${fileId}${beforePart}${part}`;
}

/** @returns the part of an id that `partId` made; undefined for a whole file */
export function splitPartId(id: string): { readonly fileId: string; readonly part: string | undefined } {
  const at = id.lastIndexOf(beforePart);
  return at < 0 ? { fileId: id, part: undefined } : { fileId: id.slice(0, at), part: id.slice(at + beforePart.length) };
}

const unnamed = "unnamed ";

/** A group for images of one file that names no patient, who may have other files too. */
export function unnamedGroup(name: string): string {
  return unnamed + name;
}

/** Whether a group says whose the images are. */
export function namesPatient(group: string | undefined): group is string {
  return group !== undefined && group !== "" && !group.startsWith(unnamed);
}

/** Readable, and left out on purpose; they are no failures. */
export const exclusionReasons = [
  /** A plan, a report, a presentation state. */
  "no-pixels",
  /** May show a patient's name. */
  "burned-in",
  "modality-excluded",
  "too-small",
  /** A slide or tile without tissue. */
  "no-tissue",
] as const;

export function isExclusion(reason: UnreadableReason): boolean {
  return exclusionReasons.some((exclusion) => exclusion === reason);
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
  ...exclusionReasons,
] as const;
export type UnreadableReason = (typeof unreadableReasons)[number];

const unsupported: readonly UnreadableReason[] = ["unsupported-format", "unsupported-pixels"];

function codeOf(reason: UnreadableReason): ErrorCode {
  return unsupported.includes(reason) ? "input-unsupported" : "input-unreadable";
}

/** One image that cannot be trained on. Training goes on without it. */
export class UnreadableImage extends ConsiliumError {
  /** Not part of the message, which may be logged: names of files and patients stay with the site's own reports. */
  readonly id: string;
  readonly reason: UnreadableReason;

  constructor(id: string, reason: UnreadableReason, options: { detail?: string; cause?: unknown } = {}) {
    const detail = options.detail === undefined ? "" : ` (${options.detail})`;
    super(codeOf(reason), `an image cannot be used: ${reason}${detail}`, {
      remedy: "replace the file or leave it out; `consilium-agent check-data` lists all such files",
      cause: options.cause,
    });
    this.id = id;
    this.reason = reason;
  }
}
