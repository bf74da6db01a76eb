import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ErrorCode } from "@consilium/shared/errors.js";
import type { BatchExtent, BatchViews } from "./batch-memory.js";
import type { DataSettings } from "./data-settings.js";
import type { UnreadableReason } from "./source.js";
import type { ViewRequest } from "./view-maker.js";

/** Between the trainer and its threads, which run the same build in the same process: typed, not checked. */

export interface ViewThreadSetup {
  readonly config: RunConfig;
  readonly settings: DataSettings;
  /** This thread's part of the cache. */
  readonly cacheBytes: number;
  readonly concurrency: number;
}

export type ToViewThread = { readonly type: "forget"; readonly fileIds: readonly string[] } | MakeViews;

export interface MakeViews {
  readonly type: "make";
  readonly ticket: number;
  readonly request: ViewRequest;
  readonly row: number;
  /** Of the batch's memory, with `buffer`, which is shared. */
  readonly extent: BatchExtent;
  readonly buffer: SharedArrayBuffer;
}

export interface ViewFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy?: string;
  /** Present when only this image is concerned. */
  readonly unreadable?: { readonly id: string; readonly reason: UnreadableReason };
}

export type FromViewThread =
  | { readonly type: "made"; readonly ticket: number; readonly batch: BatchViews | undefined }
  | { readonly type: "failed"; readonly ticket: number; readonly failure: ViewFailure };
