/** Where a compiled model came from: "damaged" is a file that could not be used and was compiled anew. */
export type CacheOutcome = "hit" | "miss" | "damaged" | "off";

/** How a program became ready to run. */
export interface CompileReport {
  readonly program: string;
  readonly cache: CacheOutcome;
  /** True when the program's TensorFlow.js code ran to record it. */
  readonly traced: boolean;
  /** From the call of `compile` until the program could run, in milliseconds. */
  readonly compileMs: number;
  /** Memory of one run at its fullest moment, as predicted. */
  readonly peakBytes: number;
  /** Why the model could not be kept for the next time, such as "ENOSPC". */
  readonly notKept?: string;
}
