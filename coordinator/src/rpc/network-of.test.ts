import { expect, it } from "vitest";
import { networkOf } from "./network-of.js";

it.each([
  ["10.0.0.1:50123", "10.0.0.1"],
  ["::ffff:10.0.0.1:50123", "10.0.0.1"],
  ["2001:db8:1:2:3:4:5:6:50123", "2001:db8:1:2::/64"],
  ["2001:db8:1:2:ffff::9:50123", "2001:db8:1:2::/64"],
  ["2001:db8::1:50123", "2001:db8:0:0::/64"],
  ["::1:50123", "0:0:0:0::/64"],
  ["fe80::1%eth0:50123", "fe80:0:0:0::/64"],
  ["64:ff9b::10.0.0.1:50123", "64:ff9b:0:0::/64"],
  ["unknown", "unknown"],
])("counts %s for %s", (peer, network) => {
  expect(networkOf(peer)).toBe(network);
});
