export interface FittingRequest {
  readonly batchSize: number;
  /** Batch sizes are multiples of this, as micro-batches want; absent: 1. Divides `batchSize`. */
  readonly multipleOf?: number;
  /** Bytes. */
  readonly available: number;
  /** Bytes for a batch size; about a second of work each. */
  readonly needOf: (batchSize: number) => number;
}

/** A need that does not grow with the batch up to here never will. */
const mostImages = 100_000;
const stride = 8;

/**
 * The largest batch size that fits, also above the given one; 0 when not even the smallest does. The need is flat where
 * the update of the weights is the fullest moment, and a straight line over the batch size above: two points of that
 * line tell.
 */
export function largestBatch(request: FittingRequest): number {
  const { batchSize, multipleOf = 1, available, needOf } = request;
  const need = needOf(batchSize);
  const fits = need <= available;
  const other = fits ? 2 * batchSize : multipleOf * Math.max(1, Math.floor(batchSize / multipleOf / 2));
  if (other === batchSize) return 0;
  const perImage = (need - needOf(other)) / (batchSize - other);
  if (perImage > 0) {
    return Math.max(0, downTo(multipleOf, batchSize + (available - need) / perImage));
  }
  if (!fits) return 0;
  return batchSize > mostImages ? batchSize : largestBatch({ ...request, batchSize: stride * batchSize });
}

const mostChecks = 3;
const shrink = 0.9;

/** The largest batch size up to the given one whose need fits, checked; 0 when not even the smallest does. */
export function fittingBatch(request: FittingRequest): number {
  const { batchSize, multipleOf = 1, available, needOf } = request;
  if (needOf(batchSize) <= available) return batchSize;
  let guess = Math.min(batchSize - multipleOf, largestBatch(request));
  for (let check = 0; check < mostChecks && guess > 0 && needOf(guess) > available; check++) {
    guess = downTo(multipleOf, guess * shrink);
  }
  return guess;
}

function downTo(multipleOf: number, size: number): number {
  return Math.floor(size / multipleOf) * multipleOf;
}
