import type { SecureServerOptions } from "node:http2";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import { issuerAmong, parseAuthorities, parseCertificate } from "../identity/certificate-check.js";
import type { TlsBundle } from "../identity/key-files.js";

/** Upload speed is one stream window per round trip; gRPC's own default of 64 KiB caps it at about 1 MB/s. */
const streamWindowBytes = 2 << 20;
export const connectionWindowBytes = 4 << 20;
export const mostConcurrentStreams = 64;
const largestHeaderBytes = 16_384;
const handshakeTimeoutMs = 5000;

/** What a server needs for its handshakes. */
export interface ServerTls extends TlsBundle {
  /**
   * Lists of revoked certificates in PEM, one of each CA. Where there is any, OpenSSL refuses every client whose issuer
   * has none or an old one.
   */
  readonly revocationLists?: string | undefined;
}

/** TLS 1.3 only, with certificates and revocation lists that can be replaced while connections stay up. */
export class TlsServerCredentials extends ServerCredentials {
  private constructor(server: SecureServerOptions, context: SecureContextOptions) {
    super(server, context);
  }

  /** For the main port: who has no certificate of this federation's authority does not get past the handshake. */
  static mutual(tls: ServerTls): TlsServerCredentials {
    return TlsServerCredentials.#create(tls, { requestCert: true, rejectUnauthorized: true });
  }

  /** For the enrolment port, where callers have no certificate yet. */
  static enrolment(tls: TlsBundle): TlsServerCredentials {
    return TlsServerCredentials.#create(tls, { requestCert: false });
  }

  /** New handshakes use the new certificate, and no session that was set up before is resumed. Throws config-invalid. */
  reload(tls: ServerTls): void {
    this.updateSecureContextOptions(contextOptions(tls));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  static #create(tls: ServerTls, asks: Pick<SecureServerOptions, "requestCert" | "rejectUnauthorized">) {
    const settings = {
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: mostConcurrentStreams,
      maxHeaderListSize: largestHeaderBytes,
    };
    return new TlsServerCredentials({ ...asks, handshakeTimeout: handshakeTimeoutMs, settings }, contextOptions(tls));
  }
}

/** The CA goes along with the leaf, so that an enrolling site can check the chain behind its pin. */
function contextOptions({ caPem, certPem, keyPem, revocationLists }: ServerTls): SecureContextOptions {
  try {
    const issuer = issuerAmong(parseAuthorities(caPem), parseCertificate(certPem));
    const options: SecureContextOptions = {
      ca: caPem,
      cert: `${certPem.trimEnd()}\n${issuer.toString()}`,
      key: keyPem,
      minVersion: "TLSv1.3",
      ...(revocationLists === undefined ? {} : { crl: pemsOf(revocationLists) }),
    };
    createSecureContext(options);
    return options;
  } catch (cause) {
    throw new ConsiliumError("config-invalid", "The TLS certificate and key cannot be used together.", {
      remedy: "Put back the certificate and key that were issued together.",
      cause,
    });
  }
}

/** Of several lists in one text, Node reads only the first. */
function pemsOf(lists: string): string[] {
  return lists.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----\n/g) ?? [];
}
