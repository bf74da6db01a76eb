import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { ConsiliumError } from "../errors.js";
import { assertIssuedBy, parseCertificate } from "../identity/certificate-check.js";
import { spkiPin } from "../identity/invitation.js";
import { coordinatorFault, openTrusting, type RpcChannel } from "./channel.js";
import type { HttpProxy } from "./proxy.js";
import { carrierTo } from "./tunnel.js";

export interface PinnedChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly federation: string;
  /** SHA-256 of the coordinator's SubjectPublicKeyInfo, from the invitation. */
  readonly pin: Uint8Array;
  readonly proxy?: HttpProxy | undefined;
  readonly timeoutMs?: number;
}

/**
 * A channel for a site that has no certificate and knows no CA yet. A first connection fetches the coordinator's chain,
 * which counts only if its key has the pin; the channel then trusts that chain and checks the pin again. Throws
 * unreachable, or certificate-refused when something else answers in the coordinator's place.
 */
export async function openPinnedChannel(options: PinnedChannelOptions): Promise<RpcChannel> {
  const { host, port, federation, pin, proxy } = options;
  const { leaf, issuer } = await fetchChain(options);
  const fault = pinFault(leaf, pin) ?? coordinatorFault(leaf, federation);
  // site-check: pinned-coordinator
  if (fault !== undefined) throw fault;
  assertIssuedBy(leaf, issuer);
  return openTrusting({ host, port, proxy }, { caPem: issuer.toString(), verify: ({ raw }) => pinFault({ raw }, pin) });
}

function pinFault({ raw }: Pick<PeerCertificate, "raw">, pin: Uint8Array): ConsiliumError | undefined {
  if (Buffer.compare(spkiPin(parseCertificate(raw)), pin) === 0) return undefined;
  return new ConsiliumError("certificate-refused", "The server's key is not the one that the invitation names.", {
    remedy:
      "Something between may inspect TLS, or the coordinator has a new key: ask its operator for a new invitation.",
  });
}

interface Chain {
  readonly leaf: X509Certificate;
  readonly issuer: X509Certificate;
}

async function fetchChain({ host, port, proxy, timeoutMs = 10_000 }: PinnedChannelOptions): Promise<Chain> {
  const carrier = await carrierTo({ host, port, proxy, timeoutMs });
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...carrier,
      // The pin decides, once the certificate is here; nothing is sent before.
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const fail = (cause: unknown) => {
      socket.destroy();
      reject(cause instanceof ConsiliumError ? cause : unreachableServer(host, port, cause));
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once("error", fail);
    socket.once("close", () => fail(new Error("connection closed")));
    socket.once("secureConnect", () => {
      try {
        resolve(chainOf(socket));
        socket.destroy();
      } catch (cause) {
        fail(cause);
      }
    });
  });
}

function chainOf(socket: TLSSocket): Chain {
  const sent = socket.getPeerCertificate(true);
  // Where the server sent only itself, Node leaves the issuer out.
  const issuer: typeof sent | undefined = sent.issuerCertificate;
  if (issuer === undefined) {
    throw new ConsiliumError("certificate-refused", "The server did not send the certificate of its authority.", {
      remedy: "Check the enrolment port of the invitation.",
    });
  }
  return { leaf: parseCertificate(sent.raw), issuer: parseCertificate(issuer.raw) };
}

function unreachableServer(host: string, port: number, cause: unknown): ConsiliumError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ConsiliumError("unreachable", `The enrolment server at ${host}:${port} cannot be reached: ${reason}.`, {
    remedy: "Check that the coordinator runs and that outbound connections to this host and port are allowed.",
    cause,
  });
}
