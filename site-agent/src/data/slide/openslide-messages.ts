import type { Colour } from "./argb.js";
import type { NativeRegion } from "./openslide-library.js";
import type { SlideLevel } from "./slide.js";

/** What the agent asks the process that has OpenSlide. Requests are answered one by one, in order. */
export type SlideRequest =
  | {
      readonly type: "open";
      /** By which the slide is called from then on; never used again. */
      readonly slide: number;
      readonly path: string;
      /** Properties whose values are wanted; no others leave the process. */
      readonly properties: readonly string[];
    }
  | { readonly type: "read"; readonly slide: number; readonly region: NativeRegion; readonly background: Colour }
  | { readonly type: "close"; readonly slide: number };

export interface SlideFacts {
  readonly levels: readonly SlideLevel[];
  readonly properties: Readonly<Record<string, string>>;
}

export type SlideAnswer =
  | { readonly type: "opened"; readonly facts: SlideFacts }
  /** Interleaved red, green, blue. */
  | { readonly type: "pixels"; readonly rgb: Uint8Array }
  | { readonly type: "closed" }
  /** OpenSlide is not installed. */
  | { readonly type: "absent" }
  /** OpenSlide knows no such format. */
  | { readonly type: "unknown-format" }
  /** The process was started after the slide was opened, or the slide had an error. */
  | { readonly type: "unknown-slide" }
  /** OpenSlide's message may name files, so only its kind is told. */
  | { readonly type: "failed"; readonly reason: "damaged" | "truncated" };
