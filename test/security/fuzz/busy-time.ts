/** Milliseconds that this process has computed so far. On a machine that others use too, a clock would count their work. */
export function busyMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const lookEveryMs = 20;

/** The longest that the event loop did not turn while the process was computing. */
export class LoopWatch {
  longestMs = 0;
  #busyAtMs = busyMs();
  #atMs = performance.now();
  readonly #timer = setInterval(() => this.#look(), lookEveryMs);

  stop(): void {
    this.#look();
    clearInterval(this.#timer);
  }

  #look(): void {
    const [busy, now] = [busyMs(), performance.now()];
    this.longestMs = Math.max(this.longestMs, Math.min(busy - this.#busyAtMs, now - this.#atMs));
    this.#busyAtMs = busy;
    this.#atMs = now;
  }
}
