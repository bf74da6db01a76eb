/** Why a connection to the coordinator does or doesn't come about. */
export type ConnectionReason =
  | "ok"
  | "unreachable"
  | "refused"
  | "timeout"
  | "proxy-unreachable"
  | "proxy-refused"
  | "proxy-timeout"
  | "proxy-login"
  | "proxy-denied"
  | "proxy-no-route"
  | "not-a-proxy"
  | "not-tls13"
  | "wrong-authority"
  | "server-expired"
  | "server-not-yet-valid"
  | "wrong-role"
  | "name-mismatch"
  | "own-expired"
  | "own-not-yet-valid"
  | "own-revoked"
  | "own-refused"
  | "own-unusable";

export interface ConnectionDiagnosis {
  readonly reason: ConnectionReason;
  readonly message: string;
  readonly remedy: string;
}

type Words = readonly [message: (address: string, detail: string) => string, remedy: string];

const words: Readonly<Record<ConnectionReason, Words>> = {
  ok: [(address) => `${address} accepts this certificate.`, "Nothing to do."],
  unreachable: [
    (address, detail) => `${address} cannot be reached (${detail}).`,
    "Check the host name, DNS, and that the firewall allows outbound connections to this port.",
  ],
  refused: [(address) => `Nothing listens on ${address}.`, "Check the port and that the coordinator runs."],
  timeout: [
    (address) => `${address} does not answer.`,
    "A firewall may drop the packets: allow outbound connections to this host and port.",
  ],
  "proxy-unreachable": [
    (_address, proxy) => `The proxy ${proxy} cannot be reached.`,
    "Check the proxy's name, and that this machine may connect to it.",
  ],
  "proxy-refused": [
    (_address, proxy) => `Nothing listens where the proxy should be: ${proxy}.`,
    "Check the proxy's host and port.",
  ],
  "proxy-timeout": [
    (address, proxy) => `The proxy ${proxy} does not answer when asked for ${address}.`,
    "Ask the network's administrator whether the proxy lets this host and port through.",
  ],
  "proxy-login": [
    (_address, proxy) => `The proxy ${proxy} wants a user and password, or refuses those it was given.`,
    "Put user:password for the proxy into a file and name it as coordinator.proxyCredentials in site.yaml.",
  ],
  "proxy-denied": [
    (address, proxy) => `The proxy ${proxy} does not allow a connection to ${address}.`,
    "Ask the network's administrator to allow CONNECT to this host and port, without looking into TLS.",
  ],
  "proxy-no-route": [
    (address, proxy) => `The proxy ${proxy} cannot reach ${address}.`,
    "Check the coordinator's host and port; ask the network's administrator whether the proxy may connect to it.",
  ],
  "not-a-proxy": [
    (_address, proxy) => `${proxy} does not answer as an HTTP proxy.`,
    "Check the proxy's host and port; TLS to the proxy itself is not supported.",
  ],
  "not-tls13": [
    (address, detail) => `${address} does not speak TLS 1.3 (${detail}).`,
    "Check the port; if a proxy inspects TLS, exempt this host from it.",
  ],
  "wrong-authority": [
    (address, detail) => `${address} shows a certificate of another authority (${detail}).`,
    "If a proxy inspects TLS, exempt this host; if the federation was set up anew, join it again.",
  ],
  "server-expired": [
    (address) => `The coordinator's certificate at ${address} has expired, or this machine's clock is ahead.`,
    "Check this machine's clock; then ask the coordinator's operator to renew the certificate.",
  ],
  "server-not-yet-valid": [
    (address) => `The coordinator's certificate at ${address} is not valid yet: this machine's clock is behind.`,
    "Set this machine's clock, for instance with NTP.",
  ],
  "wrong-role": [
    (address, detail) => `${address} is not the coordinator of this federation: ${detail}`,
    "Check the coordinator's host and port in the configuration.",
  ],
  "name-mismatch": [
    (address, detail) => `The coordinator's certificate at ${address} does not name this host; it names ${detail}.`,
    "Dial the coordinator by a name in its certificate, or set the server name in the configuration.",
  ],
  "own-expired": [
    (address, detail) =>
      `${address} refuses the certificate used here: it expired${detail === "" ? "" : ` on ${detail}`}.`,
    "Ask the coordinator's operator: a site joins again with a new invitation, a person gets a new folder of credentials.",
  ],
  "own-not-yet-valid": [
    (address, detail) => `The certificate used here is not valid before ${detail}: ${address} refuses it.`,
    "Set this machine's clock, for instance with NTP.",
  ],
  "own-revoked": [
    (address) => `${address} refuses the certificate used here: it was revoked.`,
    "Ask the coordinator's operator why; a site joins again with a new invitation, a person gets a new folder of credentials.",
  ],
  "own-refused": [
    (address, detail) => `${address} refuses the certificate used here. ${detail}`,
    "It may be revoked, or the coordinator's clock or its list of revoked certificates be wrong: ask its operator.",
  ],
  "own-unusable": [
    (address) => `${address} was not tried: the certificate and key used here cannot be used together.`,
    "Put back the certificate and key that were issued together, or have new ones issued: a site joins again.",
  ],
};

export function diagnosis(
  reason: ConnectionReason,
  { address, detail }: { address: string; detail: string },
): ConnectionDiagnosis {
  const [message, remedy] = words[reason];
  return { reason, message: message(address, detail).trim(), remedy };
}
