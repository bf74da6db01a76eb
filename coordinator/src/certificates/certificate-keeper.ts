import { createPublicKey, X509Certificate } from "node:crypto";
import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { assertValidAt, checkBundle, describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import { saveTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import { renewalDueMs } from "@consilium/shared/identity/renewal-time.js";
import type { RevokedCertificate } from "@consilium/shared/identity/revocation-list.js";
import type { Logger } from "@consilium/shared/log.js";
import type { ServerTls } from "@consilium/shared/rpc/server-credentials.js";
import { issueCoordinatorLeaf, namesHost } from "./coordinator-leaf.js";

export interface KeeperOptions {
  readonly authority: CertificateAuthority;
  /** Where the coordinator's certificate and key lie. */
  readonly directory: string;
  readonly bundle: TlsBundle;
  /** Name or address that sites dial. */
  readonly host: string;
  readonly certificateMs: number;
  readonly revocationListMs: number;
  /** Certificates that count no more and have not expired. */
  readonly revoked: () => readonly RevokedCertificate[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** When what the coordinator's TLS rests on ends, milliseconds since the epoch. */
export interface CertificateTimes {
  readonly certificate: number;
  readonly revocationLists: number;
  readonly authority: number;
}

/** What failed is tried again after so long. */
const retryMs = 30_000;

/**
 * Keeps what the servers show and check fresh: the coordinator's certificate, which it issues to itself, the lists of
 * revoked certificates, and the end of a rollover. The key stays the same, so that invitations, which pin it, stay good.
 */
export class CertificateKeeper {
  readonly #options: KeeperOptions;
  #bundle: TlsBundle;
  #lists = "";
  #listsEndMs = 0;
  #listener: (tls: ServerTls) => void = () => {};
  #cancel = () => {};

  private constructor(options: KeeperOptions) {
    this.#options = options;
    this.#bundle = options.bundle;
    this.#makeLists();
  }

  /**
   * Brings the certificate up to date before anyone sees it.
   * @throws ConsiliumError "certificate-refused" where it does not belong to this authority, "storage"
   */
  static async open(options: KeeperOptions): Promise<CertificateKeeper> {
    const keeper = new CertificateKeeper(options);
    await keeper.#catchUp();
    const { authority, clock } = options;
    const identity = { federation: authority.federation, role: "coordinator", id: "coordinator" } as const;
    checkBundle(keeper.#bundle, { identity, nowMs: clock.now() });
    return keeper;
  }

  get tls(): ServerTls {
    return { ...this.#bundle, revocationLists: this.#lists };
  }

  get times(): CertificateTimes {
    return {
      certificate: describeCertificate(this.#bundle.certPem).notAfterMs,
      revocationLists: this.#listsEndMs,
      authority: Date.parse(new X509Certificate(this.#options.authority.certificatePem).validTo),
    };
  }

  /** Begins to keep time; the listener hears of every change. */
  start(listener: (tls: ServerTls) => void): void {
    this.#listener = listener;
    this.#arm(this.#nextDueMs());
  }

  stop(): void {
    this.#cancel();
  }

  /** Something was revoked: the next handshake sees it. */
  refreshLists(): void {
    this.#makeLists();
    this.#listener(this.tls);
  }

  #arm(atMs: number): void {
    const { clock, log } = this.#options;
    this.#cancel();
    this.#cancel = clock.schedule(atMs, () => {
      this.#catchUp().then(
        (changed) => {
          if (changed) this.#listener(this.tls);
          this.#arm(this.#nextDueMs());
        },
        (thrown: unknown) => {
          log.error("certificate-not-renewed", { reason: asConsiliumError(thrown).message });
          this.#arm(clock.now() + retryMs);
        },
      );
    });
  }

  #nextDueMs(): number {
    const { authority } = this.#options;
    return Math.min(
      renewalDueMs(describeCertificate(this.#bundle.certPem)),
      this.#listsDueMs(),
      authority.rolloverEndsMs ?? Number.POSITIVE_INFINITY,
    );
  }

  /** At half their life, so that a coordinator that was stopped for a while comes back with good ones. */
  #listsDueMs(): number {
    return this.#listsEndMs - this.#options.revocationListMs / 2;
  }

  async #catchUp(): Promise<boolean> {
    const { authority, clock, log } = this.#options;
    const nowMs = clock.now();
    const rolloverEnds = (authority.rolloverEndsMs ?? Number.POSITIVE_INFINITY) <= nowMs;
    if (rolloverEnds) {
      await authority.retireOlder();
      log.info("authority-rollover-ended");
    }
    const renews = rolloverEnds || this.#needsCertificate(nowMs);
    if (renews) await this.#renew();
    const lists = rolloverEnds || this.#listsDueMs() <= nowMs;
    if (lists) this.#makeLists();
    return renews || lists;
  }

  #needsCertificate(nowMs: number): boolean {
    const { authority, host, certificateMs } = this.#options;
    const { certPem, caPem } = this.#bundle;
    const facts = describeCertificate(certPem);
    // One that outlives what the settings say now was issued before they were changed.
    const outlives = facts.notAfterMs > nowMs + certificateMs;
    return renewalDueMs(facts) <= nowMs || outlives || !namesHost(certPem, host) || caPem !== authority.trustPem;
  }

  async #renew(): Promise<void> {
    const { authority, directory, host, certificateMs: validForMs, clock, log } = this.#options;
    const { keyPem } = this.#bundle;
    const publicKeyPem = createPublicKey(keyPem).export({ format: "pem", type: "spki" }).toString();
    const issued = issueCoordinatorLeaf(authority, { host, publicKeyPem, validForMs });
    const bundle = { keyPem, certPem: issued.certificatePem, caPem: authority.trustPem };
    assertValidAt(describeCertificate(bundle.certPem), clock.now());
    await saveTlsBundle(directory, bundle);
    this.#bundle = bundle;
    log.info("certificate-renewed", { notAfter: new Date(issued.notAfterMs).toISOString() });
  }

  #makeLists(): void {
    const { authority, revoked, revocationListMs, clock } = this.#options;
    this.#lists = authority.revocationLists(revoked(), revocationListMs);
    this.#listsEndMs = clock.now() + revocationListMs;
  }
}
