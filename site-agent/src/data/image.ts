/** A decoded image: interleaved red, green, blue, row by row from the top. */
export interface RgbImage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** width × height × 3 values. */
  readonly data: Uint8Array;
}
