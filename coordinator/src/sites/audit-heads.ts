import type { Clock } from "@consilium/shared/clock.js";
import { GroupCommit } from "../store/group-commit.js";
import type { AuditHead, SiteStore } from "../store/site-store.js";

const headBytes = 32;
/** A site may have a new head with every report. Its answer waits, so that no number of sites keeps the disk busy. */
const writeEveryMs = 500;

interface Pending {
  readonly head: Uint8Array;
  readonly kept: Promise<unknown>;
}

/** What sites say of their audit logs, which a site that has cut its own cannot take back. */
export class AuditHeads {
  readonly #store: SiteStore;
  readonly #pending = new Map<string, Pending>();
  readonly #commits: GroupCommit<AuditHead, AuditHead>;

  constructor(store: SiteStore, clock: Clock) {
    this.#store = store;
    const write = (heads: readonly AuditHead[]) => {
      store.keepAuditHeads(heads);
      return heads;
    };
    this.#commits = new GroupCommit(write, { everyMs: writeEveryMs, clock });
  }

  /** Resolves once the head is durable; at once where it is known, or is no hash. */
  async keep(siteId: string, head: Uint8Array): Promise<void> {
    if (head.length !== headBytes) return;
    const pending = this.#pending.get(siteId);
    const known = pending?.head ?? this.#store.findSite(siteId)?.auditHead;
    if (known && Buffer.compare(known, head) === 0) {
      await pending?.kept;
      return;
    }
    const next: Pending = { head, kept: this.#commits.add({ siteId, head }) };
    this.#pending.set(siteId, next);
    try {
      await next.kept;
    } finally {
      if (this.#pending.get(siteId) === next) this.#pending.delete(siteId);
    }
  }
}
