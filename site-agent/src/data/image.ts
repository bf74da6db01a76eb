/** A decoded image: interleaved red, green, blue, row by row from the top. */
export interface RgbImage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** width × height × 3 values. */
  readonly data: Uint8Array;
  /** Between pixel centres, in millimetres, where the file says. */
  readonly spacing?: { readonly x: number; readonly y: number };
}
