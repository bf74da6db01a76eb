import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import { diagnosis } from "@consilium/shared/rpc/connection-reason.js";
import { diagnoseConnection } from "@consilium/shared/rpc/probe.js";
import { type Enrolment, loadEnrolment } from "../enrolment.js";
import { type ExaminedSite, type Finding, failed, findingOf, ok, type Verdict } from "./finding.js";

const patienceMs = 10_000;

/** The way to the coordinator, step by step; it ends at the first step that fails. */
export async function connectionFindings(site: ExaminedSite): Promise<Finding[]> {
  const enrolment = loadEnrolment(site.home);
  const steps: readonly (readonly [name: string, look: () => Promise<Verdict>])[] = [
    ["coordinator: name", () => checkName(enrolment.host)],
    ["coordinator: port", () => checkPort(enrolment)],
    ["coordinator: TLS", () => checkTls(site, enrolment)],
  ];
  const findings: Finding[] = [];
  for (const [name, look] of steps) {
    const finding = await findingOf(name, look);
    findings.push(finding);
    if (finding.level === "failed") break;
  }
  return findings;
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
async function checkTls({ home, clock }: ExaminedSite, { host, port, federation }: Enrolment): Promise<Verdict> {
  const bundle = await loadTlsBundle(home.identity.directory);
  const found = await diagnoseConnection({ host, port, federation, bundle, clock, timeoutMs: patienceMs });
  return found.reason === "ok" ? ok(found.message) : failed(found.message, found.remedy);
}
