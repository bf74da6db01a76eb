import type { SecureServerOptions } from "node:http2";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import type { TlsBundle } from "../identity/key-files.js";

/** Upload speed is one stream window per round trip; gRPC's own default of 64 KiB caps it at about 1 MB/s. */
const streamWindowBytes = 2 << 20;
export const connectionWindowBytes = 4 << 20;
export const mostConcurrentStreams = 64;
const largestHeaderBytes = 16_384;
const handshakeTimeoutMs = 5000;

/** TLS 1.3 only, with certificates that can be replaced while connections stay up. */
export class TlsServerCredentials extends ServerCredentials {
  private constructor(server: SecureServerOptions, context: SecureContextOptions) {
    super(server, context);
  }

  /** For the main port: who has no certificate of this federation's authority does not get past the handshake. */
  static mutual(bundle: TlsBundle): TlsServerCredentials {
    return TlsServerCredentials.#create(bundle, { requestCert: true, rejectUnauthorized: true });
  }

  /** For the enrolment port, where callers have no certificate yet. */
  static enrolment(bundle: TlsBundle): TlsServerCredentials {
    return TlsServerCredentials.#create(bundle, { requestCert: false });
  }

  /** New handshakes use the new certificate, and no session that was set up before is resumed. Throws config-invalid. */
  reload(bundle: TlsBundle): void {
    this.updateSecureContextOptions(contextOptions(bundle));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  static #create(bundle: TlsBundle, asks: Pick<SecureServerOptions, "requestCert" | "rejectUnauthorized">) {
    const settings = {
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: mostConcurrentStreams,
      maxHeaderListSize: largestHeaderBytes,
    };
    return new TlsServerCredentials(
      { ...asks, handshakeTimeout: handshakeTimeoutMs, settings },
      contextOptions(bundle),
    );
  }
}

/** The CA goes along with the leaf, so that an enrolling site can check the chain behind its pin. */
function contextOptions({ caPem, certPem, keyPem }: TlsBundle): SecureContextOptions {
  const options: SecureContextOptions = {
    ca: caPem,
    cert: `${certPem.trimEnd()}\n${caPem}`,
    key: keyPem,
    minVersion: "TLSv1.3",
  };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new ConsiliumError("config-invalid", "The TLS certificate and key cannot be used together.", {
      remedy: "Put back the certificate and key that were issued together.",
      cause,
    });
  }
  return options;
}
