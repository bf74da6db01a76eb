import type { Clock } from "@consilium/shared/clock.js";
import type { Directive } from "@consilium/shared/rpc/gen/federation.js";
import type { SignedPlan, SiteTransport } from "../round/ports.js";

/** More directives than this unread means that the site does not read; the oldest are then worthless anyway. */
const mostWaiting = 16;

/** What one site's attached stream has still to send. */
export class DirectiveChannel {
  #waiting: Directive[] = [];
  #wake: () => void = () => {};
  #ended = false;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Of several plans only the newest counts. */
  push(directive: Directive): void {
    const isPlan = directive.kind?.$case === "plan";
    const kept = isPlan ? this.#waiting.filter((waiting) => waiting.kind?.$case !== "plan") : this.#waiting;
    this.#waiting = [...kept, directive].slice(-mostWaiting);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** The next directive; "idle" when none came in time, undefined when the stream should end. */
  async next(clock: Clock, idleMs: number): Promise<Directive | "idle" | undefined> {
    if (this.#ended) return undefined;
    if (this.#waiting.length === 0) await this.#arrival(clock, idleMs);
    if (this.#ended) return undefined;
    return this.#waiting.shift() ?? "idle";
  }

  #arrival(clock: Clock, idleMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.schedule(clock.now() + idleMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** The attached streams of all sites, as the round reaches them. */
export class SiteStreams implements SiteTransport {
  readonly #channels = new Map<string, DirectiveChannel>();

  open(siteId: string): DirectiveChannel {
    const channel = new DirectiveChannel();
    this.#channels.set(siteId, channel);
    return channel;
  }

  close(siteId: string, channel: DirectiveChannel): void {
    if (this.#channels.get(siteId) === channel) this.#channels.delete(siteId);
    channel.end();
  }

  endAll(): void {
    for (const channel of this.#channels.values()) channel.end();
  }

  offer(siteId: string, plan: SignedPlan): void {
    this.#channels.get(siteId)?.push(planDirective(plan));
  }

  withdraw(siteId: string, withdrawal: Parameters<SiteTransport["withdraw"]>[1]): void {
    this.#channels.get(siteId)?.push({ kind: { $case: "withdrawal", value: { ...withdrawal } } });
  }
}

export function planDirective({ body, signature }: SignedPlan): Directive {
  return { kind: { $case: "plan", value: { body: Buffer.from(body), signature: Buffer.from(signature) } } };
}
