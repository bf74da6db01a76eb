import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { fingerprint } from "@consilium/shared/identity/identity-key.js";
import { encodeInvitation } from "@consilium/shared/identity/invitation.js";
import type { SiteRow, SiteStore } from "../store/site-store.js";
import type { Enrolment } from "./enrolment.js";
import type { SiteRegistry } from "./registry.js";

/** A site as operators see it; the fields are those of `admin.proto`. */
export interface SiteSummary {
  readonly siteId: string;
  readonly status: "invited" | "enrolled" | "revoked";
  readonly attached: boolean;
  readonly lastSeenMs: number;
  readonly agentVersion: string;
  readonly identityFingerprint: string;
  readonly certificateExpiresMs: number;
}

/** What an invitation says about where to go. */
export interface DialAddress {
  readonly federation: string;
  readonly host: string;
  readonly port: number;
  readonly enrolmentPort: number;
  /** SHA-256 of the coordinator certificate's public key. */
  readonly pin: Uint8Array;
}

export interface DeskOptions {
  readonly store: SiteStore;
  readonly registry: SiteRegistry;
  readonly enrolment: Enrolment;
  readonly clock: Clock;
  /** Known once the ports are bound. */
  readonly address: () => DialAddress;
}

/** What operators do with sites: invite, list, revoke. */
export class SiteDesk {
  readonly #options: DeskOptions;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  invite({ siteId, validHours }: { readonly siteId: string; readonly validHours: number }) {
    const { token: secret, expiresAtMs } = this.#options.enrolment.invite(siteId, validHours);
    return { siteId, token: encodeInvitation({ ...this.#options.address(), siteId, secret }), expiresAtMs };
  }

  list(): SiteSummary[] {
    const { store, clock } = this.#options;
    const sites = store.listSites().map((site) => this.#summary(site));
    const known = new Set(sites.map((site) => site.siteId));
    const invited = store.listInvitedSites(clock.now()).filter(({ siteId }) => !known.has(siteId));
    return [...sites, ...invited.map(({ siteId }) => invitedSummary(siteId))].sort((a, b) =>
      a.siteId < b.siteId ? -1 : 1,
    );
  }

  /** Ends a site's membership, and its open invitations. @throws ConsiliumError "not-found" */
  revoke(siteId: string): SiteSummary {
    const { store, registry } = this.#options;
    const before = this.list().find((site) => site.siteId === siteId);
    if (before === undefined) {
      throw new ConsiliumError("not-found", `there is no site ${JSON.stringify(siteId.slice(0, 63))}`, {
        remedy: "'consilium site list' shows every site",
      });
    }
    registry.revoke(siteId);
    const site = store.findSite(siteId);
    return site === undefined ? { ...before, status: "revoked" } : this.#summary(site);
  }

  #summary(site: SiteRow): SiteSummary {
    const { store, registry } = this.#options;
    return {
      siteId: site.siteId,
      status: site.revokedAtMs === null ? "enrolled" : "revoked",
      attached: registry.isAttached(site.siteId),
      lastSeenMs: registry.lastSeenMs(site.siteId) ?? site.lastSeenMs,
      agentVersion: site.agentVersion,
      identityFingerprint: fingerprint(site.identityKey),
      certificateExpiresMs: store.newestCertificate(site.siteId)?.expiresAtMs ?? 0,
    };
  }
}

function invitedSummary(siteId: string): SiteSummary {
  return {
    siteId,
    status: "invited",
    attached: false,
    lastSeenMs: 0,
    agentVersion: "",
    identityFingerprint: "",
    certificateExpiresMs: 0,
  };
}
