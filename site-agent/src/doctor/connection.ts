import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import { diagnosis } from "@consilium/shared/rpc/connection-reason.js";
import { diagnoseConnection } from "@consilium/shared/rpc/probe.js";
import { type HttpProxy, proxyAddress } from "@consilium/shared/rpc/proxy.js";
import { openTunnel } from "@consilium/shared/rpc/tunnel.js";
import { coordinatorProxy } from "../coordinator-proxy.js";
import { type Enrolment, loadEnrolment } from "../enrolment.js";
import { type ExaminedSite, type Finding, failed, findingOf, ok, type Verdict } from "./finding.js";

const patienceMs = 10_000;

type Step = readonly [name: string, look: () => Promise<Verdict>];

/** The way to the coordinator, step by step; it ends at the first step that fails. */
export async function connectionFindings(site: ExaminedSite): Promise<Finding[]> {
  const enrolment = loadEnrolment(site.home);
  let proxy: HttpProxy | undefined;
  const way = await findingOf("proxy", async () => {
    proxy = coordinatorProxy({ ...site, host: enrolment.host });
    return proxy === undefined ? ok("none") : checkProxy(proxy, enrolment);
  });
  if (way.level === "failed") return [way];
  const straight: readonly Step[] = [
    ["coordinator: name", () => checkName(enrolment.host)],
    ["coordinator: port", () => checkPort(enrolment)],
  ];
  // A proxy looks up the name by itself, and this machine may not be able to.
  const steps: readonly Step[] = [
    ...(proxy === undefined ? straight : []),
    ["coordinator: TLS", () => checkTls(site, enrolment, proxy)],
  ];
  const followed = await findingsOf(steps);
  return proxy === undefined ? followed : [way, ...followed];
}

async function findingsOf(steps: readonly Step[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, look] of steps) {
    const finding = await findingOf(name, look);
    findings.push(finding);
    if (finding.level === "failed") break;
  }
  return findings;
}

/** Asks for a tunnel as the agent does. */
async function checkProxy(proxy: HttpProxy, { host, port }: Enrolment): Promise<Verdict> {
  const socket = await openTunnel({ host, port, proxy, timeoutMs: patienceMs });
  socket.destroy();
  return ok(`${proxyAddress(proxy)} opens a tunnel to ${host}:${port}`);
}

async function checkName(host: string): Promise<Verdict> {
  if (isIP(host) !== 0) return ok(`${host} is an address`);
  try {
    const found = await lookup(host, { all: true });
    return ok(`${host} is ${found.map(({ address }) => address).join(", ")}`);
  } catch (thrown) {
    const { code = "unknown" } = thrown as NodeJS.ErrnoException;
    return failed(`${host} has no address (${code})`, "check the name, and which DNS server this machine asks");
  }
}

function checkPort({ host, port }: Enrolment): Promise<Verdict> {
  const address = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (verdict: Verdict) => {
      socket.destroy();
      resolve(verdict);
    };
    const fail = (reason: "refused" | "timeout" | "unreachable", detail = "") => {
      const { message, remedy } = diagnosis(reason, { address, detail });
      finish(failed(message, remedy));
    };
    socket.setTimeout(patienceMs, () => fail("timeout"));
    socket.once("connect", () => finish(ok(`${address} answers`)));
    socket.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) =>
      fail(code === "ECONNREFUSED" ? "refused" : "unreachable", code),
    );
  });
}

/** Also where a proxy that inspects TLS, or a certificate that was revoked, shows. */
async function checkTls(
  { home, clock }: ExaminedSite,
  { host, port, federation }: Enrolment,
  proxy: HttpProxy | undefined,
): Promise<Verdict> {
  const bundle = await loadTlsBundle(home.identity.directory);
  const found = await diagnoseConnection({ host, port, federation, proxy, bundle, clock, timeoutMs: patienceMs });
  return found.reason === "ok" ? ok(found.message) : failed(found.message, found.remedy);
}
