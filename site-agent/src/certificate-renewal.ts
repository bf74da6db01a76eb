import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import {
  type CertificateFacts,
  checkBundle,
  describeCertificate,
  parseAuthorities,
} from "@consilium/shared/identity/certificate-check.js";
import { createCertificateRequest } from "@consilium/shared/identity/certificate-request.js";
import { saveTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { PeerIdentity } from "@consilium/shared/identity/peer-identity.js";
import { renewalDueMs } from "@consilium/shared/identity/renewal-time.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import type { Logger } from "@consilium/shared/log.js";
import type { AuditTrail } from "./audit/audit-log.js";
import type { RenewableClient } from "./rpc/renewable-client.js";

/** How the site's certificate stands. */
export interface CertificateState {
  readonly notAfterMs: number;
  /** Set while it should have been renewed and could not be. */
  readonly failing?: { readonly sinceMs: number; readonly reason: string };
}

export interface RenewalOptions {
  readonly client: Pick<RenewableClient, "bundle" | "renewCertificate" | "replace">;
  /** Where certificate and key lie. */
  readonly directory: string;
  readonly identity: PeerIdentity;
  readonly trail: Pick<AuditTrail, "record">;
  readonly clock: Clock;
  /** Uniform in [0, 1); spreads the renewals of sites that joined together. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly onState: (state: CertificateState) => void;
}

const hourMs = 3_600_000;
const leastRetryMs = 1000;

/** Keeps the site's certificate renewed until it is stopped, each time with a new key. */
export class CertificateRenewal {
  readonly #options: RenewalOptions;
  readonly #stopping = new AbortController();
  #cancel = () => {};
  #running: Promise<void> = Promise.resolve();
  #failing: CertificateState["failing"];
  /** Made ahead, and kept until there is an answer: the same request gets the same certificate. */
  #pending: Promise<{ readonly csrPem: string; readonly keyPem: string }> | undefined;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#tell();
    this.#plan();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel();
    await this.#running;
  }

  get #facts(): CertificateFacts {
    return describeCertificate(this.#options.client.bundle.certPem);
  }

  /** After two thirds of the certificate's life, and up to a twelfth of it later. */
  #firstTryMs(): number {
    const { clock, random } = this.#options;
    const { notBeforeMs, notAfterMs } = this.#facts;
    const lifeMs = notAfterMs - notBeforeMs;
    const dueMs = renewalDueMs(this.#facts) + (random() * lifeMs) / 12;
    return Math.max(dueMs, clock.now() + random() * Math.min(60_000, lifeMs / 50));
  }

  /** The less time is left, the sooner. */
  #nextTryMs(): number {
    const { clock, random } = this.#options;
    const leftMs = this.#facts.notAfterMs - clock.now();
    const pauseMs = leftMs <= 0 ? hourMs : Math.min(hourMs, Math.max(leastRetryMs, leftMs / 8));
    return clock.now() + pauseMs * (0.5 + random());
  }

  /** A key takes a second, and many on a machine that trains: it is made well before it is needed. */
  #plan(): void {
    const { notBeforeMs, notAfterMs } = this.#facts;
    const tryMs = this.#firstTryMs();
    const keyMs = Math.min(tryMs, notBeforeMs + (notAfterMs - notBeforeMs) / 3);
    this.#arm(keyMs, async () => {
      await this.#nextRequest().catch(() => {});
      this.#arm(tryMs, () => this.#try());
    });
  }

  #arm(atMs: number, then: () => Promise<void>): void {
    if (this.#stopping.signal.aborted) return;
    this.#cancel = this.#options.clock.schedule(atMs, () => {
      this.#running = then();
    });
  }

  async #nextRequest() {
    this.#pending ??= newRequest(this.#options.identity);
    try {
      return await this.#pending;
    } catch (thrown) {
      this.#pending = undefined;
      throw thrown;
    }
  }

  async #try(): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      const { notAfterMs } = await this.#renew();
      this.#failing = undefined;
      logger.info("certificate-renewed", { notAfter: new Date(notAfterMs).toISOString() });
      this.#tell();
      this.#plan();
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      const { code, message: reason } = asConsiliumError(thrown);
      this.#failing = { sinceMs: this.#failing?.sinceMs ?? clock.now(), reason };
      const notAfter = new Date(this.#facts.notAfterMs).toISOString();
      logger.warn("certificate-not-renewed", { code, reason, notAfter, next: "keeps trying" });
      this.#tell();
      this.#arm(this.#nextTryMs(), () => this.#try());
    }
  }

  async #renew(): Promise<CertificateFacts> {
    const { client, directory, identity, trail, clock } = this.#options;
    const { csrPem, keyPem } = await this.#nextRequest();
    const { certificatePem: certPem, caPem } = await client.renewCertificate(csrPem, this.#stopping.signal);
    const bundle: TlsBundle = { caPem, certPem, keyPem };
    // An answer that is no use must not be asked for again.
    this.#pending = undefined;
    // site-check: renewed-certificate-is-own
    requireOwn(bundle, identity, clock.now());
    // site-check: renewal-keeps-an-authority
    requireKnownAuthority(caPem, client.bundle.caPem);
    const facts = describeCertificate(certPem);
    const object = { certificate: facts.fingerprint, notAfterMs: facts.notAfterMs };
    await client.replace(bundle, async () => {
      trail.record({ action: "certificate.stored", object });
      await saveTlsBundle(directory, bundle);
    });
    trail.record({ action: "certificate.used", object });
    return facts;
  }

  #tell(): void {
    const failing = this.#failing;
    this.#options.onState({ notAfterMs: this.#facts.notAfterMs, ...(failing === undefined ? {} : { failing }) });
  }
}

async function newRequest({ id }: PeerIdentity) {
  const key = await generateTlsKey();
  return { csrPem: createCertificateRequest(key, id), keyPem: key.privateKeyPem };
}

/** @throws ConsiliumError "certificate-refused" for a certificate of another key, site or authority, or not valid now */
function requireOwn(bundle: TlsBundle, identity: PeerIdentity, nowMs: number): void {
  checkBundle(bundle, { identity, nowMs });
}

/**
 * A rollover gives the new authority beside the old one. An answer that knows none of those that this site trusts would
 * move it to another federation in one step.
 */
function requireKnownAuthority(offered: string, trusted: string): void {
  const known = new Set(parseAuthorities(trusted).map(({ fingerprint256 }) => fingerprint256));
  if (parseAuthorities(offered).some(({ fingerprint256 }) => known.has(fingerprint256))) return;
  throw new ConsiliumError("certificate-refused", "The answer names no authority that this site trusts.", {
    remedy: "Ask the coordinator's operator; if the federation was set up anew, join it again.",
  });
}
