/** Tells those who watch a run that it changed. */
export class Changes {
  readonly #watching = new Map<string, Set<() => void>>();

  notify(runId: string): void {
    const watching = this.#watching.get(runId);
    this.#watching.delete(runId);
    for (const wake of watching ?? []) wake();
  }

  /** Runs that somebody watches. */
  get size(): number {
    return this.#watching.size;
  }

  /** Resolves at the run's next change, or when the signal fires. */
  next(runId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const watching = this.#watching.get(runId) ?? new Set();
      this.#watching.set(runId, watching);
      const wake = () => {
        watching.delete(wake);
        if (watching.size === 0 && this.#watching.get(runId) === watching) this.#watching.delete(runId);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      watching.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
