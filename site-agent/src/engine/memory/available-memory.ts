import { freemem } from "node:os";

/** What the system says about memory, in bytes. */
export interface MemoryReadings {
  /** That new allocations may take without swapping, over the whole machine. */
  readonly free: number;
  /** Limit of this process's control group (container, service); absent, zero or beyond the machine: none. */
  readonly limit?: number;
  /** That this process holds already. */
  readonly resident: number;
}

/** Left over for the rest of the process and for what the system keeps of files. */
const reserve = 0.05;

/**
 * Bytes that this process may still allocate. The system's own figure for a control group counts cached files, which
 * it gives up on demand, as taken: after an epoch of images nothing would seem left. So the limit is compared with what
 * this process holds.
 */
export function availableMemory({ free, limit, resident }: MemoryReadings): number {
  const limited = limit !== undefined && limit > 0 && Number.isFinite(limit);
  const within = limited ? Math.max(0, limit - resident) : Number.POSITIVE_INFINITY;
  return Math.floor(Math.min(Math.max(0, free), within) * (1 - reserve));
}

export function readMemory(): MemoryReadings {
  // Older releases of Node have no such function; without a limit the answer is 0 or larger than any memory.
  const limit: number | undefined = process.constrainedMemory?.();
  return { free: freemem(), resident: process.memoryUsage.rss(), ...(limit === undefined ? {} : { limit }) };
}
