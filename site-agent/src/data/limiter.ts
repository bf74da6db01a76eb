/** Runs tasks in the order they came, at most `concurrency` at a time. */
export type Limiter = <T>(task: () => Promise<T>) => Promise<T>;

export function createLimiter(concurrency: number): Limiter {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      // The place is handed on rather than given back, so that nobody overtakes who waits.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

/** As Promise.all over an array, without holding a promise for every element at once. */
export async function mapLimited<T, R>(
  values: readonly T[],
  concurrency: number,
  map: (value: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(values.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < values.length; index = next++) results[index] = await map(values[index]!, index);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, values.length) }, lane));
  return results;
}
