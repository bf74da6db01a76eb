import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "@consilium/shared/clock.js";
import { siteIdSchema } from "@consilium/shared/config/run-config.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { hashToken, tokenMatches } from "@consilium/shared/identity/invitation.js";
import { GroupCommit } from "../store/group-commit.js";
import type { Enrolment as EnrolmentRow, InvitationRow, SiteStore } from "../store/site-store.js";
import { RateLimit } from "./rate-limit.js";

export interface IssuedCertificate {
  readonly pem: string;
  readonly serial: string;
  readonly expiresAtMs: number;
}

export interface EnrolmentOptions {
  readonly store: SiteStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** The site has this certificate, and those that it had before count no more. */
  readonly onReplaced?: (by: { readonly siteId: string; readonly serial: string }) => void;
  /** Signs a certificate for the request's public key. @throws ConsiliumError when the request cannot be read. */
  readonly issue: (request: { csrPem: string; siteId: string }) => IssuedCertificate | Promise<IssuedCertificate>;
}

export interface EnrolmentRequest {
  readonly siteId: string;
  readonly csrPem: string;
  readonly identityPublicKey: Uint8Array;
  readonly token: Uint8Array;
  /** The caller's address or network, for the rate limit. */
  readonly address: string;
}

export const tokenBytes = 32;
const maxCsrChars = 16 * 1024;
const triesPerMinute = 5;
const hourMs = 3_600_000;
const maxValidHours = 72;

/** Invitations out, certificates in: the only way into the federation. */
export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #limit: RateLimit;
  /** Hundreds of sites may join at the same moment. */
  readonly #commits: GroupCommit<EnrolmentRow, number | undefined>;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    this.#commits = new GroupCommit((rows) => options.store.enrol(rows));
    this.#limit = new RateLimit({ tries: triesPerMinute, windowMs: 60_000, clock: options.clock });
  }

  /**
   * A new one-time token for a site. Only its hash is kept. A site that is enrolled already may be invited again, after
   * the loss of its disk; its certificate and identity key are then replaced.
   */
  invite(siteId: string, validHours: number): { readonly token: Uint8Array; readonly expiresAtMs: number } {
    if (!siteIdSchema.safeParse(siteId).success) {
      throw new ConsiliumError("config-invalid", `site id ${JSON.stringify(siteId)} is not allowed`, {
        remedy: "use lower-case letters, digits and hyphens, at most 63",
      });
    }
    const hours = validHours === 0 ? maxValidHours : validHours;
    if (!Number.isInteger(hours) || hours < 1 || hours > maxValidHours) {
      throw new ConsiliumError("config-invalid", `an invitation cannot be valid for ${hours} hours`, {
        remedy: `choose between 1 and ${maxValidHours} hours`,
      });
    }
    const token = this.#options.entropy.bytes(tokenBytes);
    const createdAtMs = this.#options.clock.now();
    const expiresAtMs = createdAtMs + hours * hourMs;
    this.#options.store.addInvitation({
      tokenHash: hashToken(token),
      siteId,
      createdAtMs,
      expiresAtMs,
      consumedAtMs: null,
      requestDigest: null,
      certificatePem: null,
    });
    return { token, expiresAtMs };
  }

  /**
   * The site's certificate. The same token with the same request gets the same certificate again, so that an answer
   * lost on the way costs nothing.
   * @throws ConsiliumError "token-refused", "certificate-refused" or "overloaded"
   */
  async enrol(request: EnrolmentRequest): Promise<string> {
    // Tries are counted by who makes them. Counted by the site they name, they would let anyone keep that site out.
    const name = `address ${request.address}`;
    this.#limit.check(name);
    try {
      return await this.#enrol(request);
    } catch (thrown) {
      this.#limit.fail(name);
      throw thrown;
    }
  }

  async #enrol(request: EnrolmentRequest): Promise<string> {
    checkForm(request);
    const { clock, issue } = this.#options;
    const { siteId, identityPublicKey: identityKey } = request;
    const requestDigest = digestOf(request);
    const known = this.#find(request);
    if (known.consumedAtMs !== null) return repeated(known, requestDigest);
    const nowMs = clock.now();
    if (known.expiresAtMs <= nowMs) throw refused(siteId, "the invitation has expired");
    const { pem, serial, expiresAtMs } = await issue(request);
    const unrevoked = { requestDigest: null, revokedAtMs: null };
    const certificate = { serial, siteId, pem, issuedAtMs: nowMs, expiresAtMs, ...unrevoked };
    const { tokenHash } = known;
    const replaced = await this.#commits.add({ tokenHash, requestDigest, siteId, identityKey, certificate, nowMs });
    // The same request may have come twice at once.
    if (replaced === undefined) return repeated(this.#find(request), requestDigest);
    if (replaced > 0) this.#options.onReplaced?.({ siteId, serial });
    return pem;
  }

  /** Compares in constant time, and with every invitation, so that the time tells nothing about the token. */
  #find({ siteId, token }: EnrolmentRequest): InvitationRow {
    const matching = this.#options.store.listInvitations(siteId).filter((row) => tokenMatches(token, row.tokenHash));
    if (matching[0] === undefined) throw refused(siteId, "the token is not known");
    return matching[0];
  }
}

function checkForm({ siteId, csrPem, identityPublicKey, token }: EnrolmentRequest): void {
  const fits =
    siteIdSchema.safeParse(siteId).success &&
    csrPem.length <= maxCsrChars &&
    identityPublicKey.length === 32 &&
    token.length === tokenBytes;
  if (!fits) throw refused(siteId.slice(0, 63), "the request is malformed");
}

function repeated(invitation: InvitationRow, requestDigest: Uint8Array): string {
  const { requestDigest: stored, certificatePem } = invitation;
  if (stored === null || certificatePem === null || !timingSafeEqual(stored, requestDigest)) {
    throw refused(invitation.siteId, "the invitation was already used");
  }
  return certificatePem;
}

function digestOf({ siteId, csrPem, identityPublicKey }: EnrolmentRequest): Uint8Array {
  return sha256(Buffer.concat([Buffer.from(`${siteId}\0${csrPem}\0`), identityPublicKey]));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

function refused(siteId: string, reason: string): ConsiliumError {
  return new ConsiliumError("token-refused", `site ${JSON.stringify(siteId)}: ${reason}`, {
    remedy: "ask the coordinator's operator for a new invitation",
  });
}
