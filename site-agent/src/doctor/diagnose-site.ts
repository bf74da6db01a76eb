import { existsSync } from "node:fs";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { verifyLog } from "../audit/verify-log.js";
import { loadSiteConfig } from "../config.js";
import { loadEnrolment } from "../enrolment.js";
import { checkCertificate } from "./certificate.js";
import { connectionFindings } from "./connection.js";
import { type Check, type ExaminedSite, type Finding, failed, findingOf, ok, warning } from "./finding.js";
import { checkPolicy, checkRoster } from "./governance.js";
import { checkPrivateFiles } from "./private-files.js";
import { checkData, checkDisk } from "./storage.js";

const checkEnrolment: Check = ({ home }) => {
  const { federation, siteId, host, port } = loadEnrolment(home);
  return ok(`${siteId} of ${federation}, coordinator ${host}:${port}`);
};

const checkSettings: Check = ({ home }) => {
  loadSiteConfig(home);
  return ok(home.siteYaml);
};

const checkIdentityKey: Check = async ({ home }) => {
  const { fingerprint } = await IdentityKey.load(home.identity.identityKey);
  return ok(`fingerprint ${fingerprint}`);
};

const checkAuditLog: Check = async ({ home }) => {
  if (!existsSync(home.audit)) return warning(`${home.audit} is not there yet`, "run the agent, which begins it");
  const { publicKey } = await IdentityKey.load(home.identity.identityKey);
  const { broken, entries } = verifyLog(home.audit, publicKey);
  if (broken === undefined) return ok(`${entries} entries, as they were written`);
  const message = `the log is not as it was written: line ${broken.line} of file ${broken.segment} (${broken.reason})`;
  return failed(message, `keep a copy of ${home.audit}, then see 'consilium-agent audit verify'`);
};

const checks: readonly (readonly [name: string, check: Check])[] = [
  ["settings", checkSettings],
  ["identity key", checkIdentityKey],
  ["key files", checkPrivateFiles],
  ["certificate", checkCertificate],
  ["policy", checkPolicy],
  ["roster", checkRoster],
  ["images", checkData],
  ["disk", checkDisk],
  ["audit log", checkAuditLog],
];

/**
 * Looks at everything that a site needs before it can take part in a round, and changes nothing. Where no site has
 * joined there is nothing more to look at. Never throws.
 */
export async function diagnoseSite(site: ExaminedSite): Promise<Finding[]> {
  const enrolment = await findingOf("enrolment", () => checkEnrolment(site));
  if (enrolment.level === "failed") return [enrolment];
  const own: Finding[] = [];
  for (const [name, check] of checks) own.push(await findingOf(name, () => check(site)));
  return [enrolment, ...own, ...(await connectionFindings(site))];
}
