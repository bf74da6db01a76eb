import { isIPv4, isIPv6 } from "node:net";

/**
 * Whom tries are counted for: an IPv4 address, or the /64 that an IPv6 address is in, since who has one has all of them.
 * @param peer address and port as gRPC writes them, such as "10.0.0.1:50123" and "2001:db8::1:50123"
 */
export function networkOf(peer: string): string {
  const address = peer.replace(/:\d+$/, "").replace(/^::ffff:(?=\d+\.)/, "");
  if (isIPv4(address) || !isIPv6(address)) return address;
  return `${groupsOf(address).slice(0, 4).join(":")}::/64`;
}

/** The eight groups of an address, without the zone that may follow it. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.replace(/%.*/, "").split("::");
  const groups = (text: string) => text.split(":").filter((group) => group !== "");
  const known = [...groups(head), ...groups(tail ?? "")];
  const zeros = Array<string>(8 - known.length).fill("0");
  return [...groups(head), ...zeros, ...groups(tail ?? "")];
}
