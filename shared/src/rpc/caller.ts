import { createHash } from "node:crypto";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { type CertificateFacts, parseCertificate, readLeaf } from "../identity/certificate-check.js";

/** Who calls, as the certificate of the connection says. */
export type Caller = CertificateFacts;

type AuthContext = ReturnType<ServerInterceptingCallInterface["getAuthContext"]>;

/** Parsing a certificate costs more than hashing it, and every call of a connection brings the same one. */
const known = new Map<string, Caller>();
const mostKnown = 1024;

/** Undefined where the connection has no client certificate. Throws certificate-refused for an unfit one. */
export function callerOf(context: AuthContext): Caller | undefined {
  return readCaller(context.sslPeerCertificate?.raw);
}

/** The same for a certificate in DER. */
export function readCaller(raw: Uint8Array | undefined): Caller | undefined {
  if (raw === undefined || raw.length === 0) return undefined;
  const fingerprint = createHash("sha256").update(raw).digest("hex");
  const seen = known.get(fingerprint);
  if (seen !== undefined) return seen;
  const caller = readLeaf(parseCertificate(raw));
  if (known.size >= mostKnown) known.clear();
  known.set(fingerprint, caller);
  return caller;
}

/** Whom a call is counted for: "site/north", such as the certificate says, or the address where there is none. */
export function ownerOf(call: Pick<ServerInterceptingCallInterface, "getAuthContext" | "getPeer">): string {
  try {
    const caller = callerOf(call.getAuthContext());
    if (caller !== undefined) return `${caller.identity.role}/${caller.identity.id}`;
  } catch {
    // Nobody's certificate; the call is refused by another interceptor.
  }
  return call.getPeer().replace(/:\d+$/, "");
}
