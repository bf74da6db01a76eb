import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { AuditWitness } from "@consilium/shared/protocol.js";
import type { SiteRow, SiteStore } from "../store/site-store.js";
import { AuditHeads } from "./audit-heads.js";

export interface RegistryListener {
  siteAttached(siteId: string): void;
  siteDetached(siteId: string): void;
}

/** A site's open stream. */
export interface Attachment {
  /** The site sent or received something. */
  seen(): void;
  /** Idempotent; a stream that another one replaced detaches nothing. */
  detach(): void;
}

interface Attached {
  readonly agentVersion: string;
  /** Ends the stream, because a newer one replaced it or the site was revoked. */
  readonly end: (reason: "replaced" | "revoked") => void;
  lastSeenMs: number;
}

/** Last-seen times are written at most this often, so that heartbeats do not cost a disk flush each. */
const seenWriteIntervalMs = 60_000;

/** Which sites belong to the federation, and which of them are there. */
export class SiteRegistry {
  readonly #attached = new Map<string, Attached>();
  readonly #listeners = new Set<RegistryListener>();
  readonly #store: SiteStore;
  readonly #clock: Clock;
  readonly #heads: AuditHeads;

  constructor(store: SiteStore, clock: Clock) {
    this.#store = store;
    this.#heads = new AuditHeads(store, clock);
    this.#clock = clock;
  }

  listen(listener: RegistryListener): void {
    this.#listeners.add(listener);
  }

  /**
   * The site with this id.
   * @throws ConsiliumError "not-authorised" when it is unknown or revoked; a certificate alone is not enough.
   */
  requireEnrolled(siteId: string): SiteRow {
    const site = this.#store.findSite(siteId);
    if (site !== undefined && site.revokedAtMs === null) return site;
    const reason = site === undefined ? "is not enrolled here" : "was revoked";
    throw new ConsiliumError("not-authorised", `site ${siteId} ${reason}`, {
      remedy: "ask the coordinator's operator for an invitation and join again",
    });
  }

  /** Enrolled and not revoked, sorted. */
  enrolledSites(): string[] {
    return this.#store
      .listSites()
      .filter((site) => site.revokedAtMs === null)
      .map((site) => site.siteId);
  }

  attachedSites(): string[] {
    return [...this.#attached.keys()].sort();
  }

  isAttached(siteId: string): boolean {
    return this.#attached.has(siteId);
  }

  lastSeenMs(siteId: string): number | undefined {
    return this.#attached.get(siteId)?.lastSeenMs;
  }

  /** Keeps what a site says of its audit log; durable once it resolves, and written only when it is new. */
  witness(siteId: string, head: Uint8Array): Promise<void> {
    return this.#heads.keep(siteId, head);
  }

  /** What the attached sites said last, sorted by site. */
  auditWitnesses(): AuditWitness[] {
    return this.#store.listSites().flatMap(({ siteId, auditHead }) => {
      return auditHead === null || !this.isAttached(siteId) ? [] : [{ siteId, head: auditHead }];
    });
  }

  /** One stream per site: a newer one replaces the older, which may be half dead. */
  attach(siteId: string, agentVersion: string, end: Attached["end"]): Attachment {
    this.requireEnrolled(siteId);
    const nowMs = this.#clock.now();
    const previous = this.#attached.get(siteId);
    const entry: Attached = { agentVersion, end, lastSeenMs: nowMs };
    this.#attached.set(siteId, entry);
    this.#store.seen(siteId, { nowMs, agentVersion });
    previous?.end("replaced");
    for (const listener of this.#listeners) listener.siteAttached(siteId);
    return this.#attachment(siteId, entry);
  }

  revoke(siteId: string): void {
    this.#store.revokeSite(siteId, this.#clock.now());
    const entry = this.#attached.get(siteId);
    if (entry === undefined) return;
    this.#remove(siteId, entry);
    entry.end("revoked");
  }

  #attachment(siteId: string, entry: Attached): Attachment {
    let writtenAtMs = entry.lastSeenMs;
    return {
      seen: () => {
        entry.lastSeenMs = this.#clock.now();
        if (entry.lastSeenMs - writtenAtMs < seenWriteIntervalMs) return;
        writtenAtMs = entry.lastSeenMs;
        this.#store.seen(siteId, { nowMs: writtenAtMs, agentVersion: entry.agentVersion });
      },
      detach: () => this.#remove(siteId, entry),
    };
  }

  #remove(siteId: string, entry: Attached): void {
    if (this.#attached.get(siteId) !== entry) return;
    this.#attached.delete(siteId);
    this.#store.seen(siteId, { nowMs: this.#clock.now(), agentVersion: entry.agentVersion });
    for (const listener of this.#listeners) listener.siteDetached(siteId);
  }
}
