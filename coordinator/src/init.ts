import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { systemClock } from "@consilium/shared/clock.js";
import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { writePublicFile } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateAuthority, createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { saveTlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { issueCoordinatorLeaf } from "./certificates/coordinator-leaf.js";
import { type CoordinatorConfig, coordinatorConfigSchema, homePaths } from "./config.js";
import { issueCredentials } from "./people/issuing.js";
import { openDatabase } from "./store/database.js";
import { createPersonStore } from "./store/sqlite-person-store.js";

export interface InitOptions {
  readonly home: string;
  readonly federation: string;
  /** Name or address that sites dial; loopback unless given. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly enrolPort?: number | undefined;
  readonly metricsPort?: number | undefined;
}

export interface InitReport {
  readonly home: string;
  readonly operatorProfile: string;
  readonly researcherProfile: string;
}

/**
 * Makes a federation: certificate authority, coordinator certificate, plan key, credentials for the command line.
 * @throws ConsiliumError "already-exists" when the directory holds a federation, "config-invalid" for unfit options.
 */
export async function initCoordinator(options: InitOptions): Promise<InitReport> {
  const home = resolve(options.home);
  const paths = homePaths(home);
  if (existsSync(paths.config) || existsSync(paths.authority)) {
    throw new ConsiliumError("already-exists", `${home} already holds a federation`, {
      remedy: "start it with 'consilium coordinator serve', or choose another --home",
    });
  }
  const text = configText(options);
  const config = parseYaml(text, coordinatorConfigSchema, "options");
  await mkdir(home, { recursive: true, mode: 0o700 });
  const authority = await createAuthority({ directory: paths.authority, federation: config.federation });
  await Promise.all([
    issueFirstPeople(authority, config, paths),
    issueCoordinator(authority, config, paths.tls),
    IdentityKey.generate().save(paths.planKey),
  ]);
  // Written last: with it, the directory is complete.
  await writePublicFile(paths.config, text);
  return { home, operatorProfile: paths.operator, researcherProfile: paths.researcher };
}

async function issueFirstPeople(
  authority: CertificateAuthority,
  config: CoordinatorConfig,
  { database: path, operator, researcher }: ReturnType<typeof homePaths>,
): Promise<void> {
  const database = openDatabase(path, systemClock.now());
  try {
    const issuing = { authority, config, store: createPersonStore(database), clock: systemClock };
    await Promise.all([
      issueCredentials(issuing, { id: "operator", role: "operator", folder: operator }),
      issueCredentials(issuing, { id: "researcher", role: "researcher", folder: researcher }),
    ]);
  } finally {
    database.close();
  }
}

async function issueCoordinator(
  authority: CertificateAuthority,
  { publicHost: host, certificates }: CoordinatorConfig,
  directory: string,
): Promise<void> {
  const { publicKeyPem, privateKeyPem: keyPem } = await generateTlsKey();
  const leaf = issueCoordinatorLeaf(authority, { host, publicKeyPem, validForMs: certificates.coordinator });
  await saveTlsBundle(directory, { caPem: authority.trustPem, certPem: leaf.certificatePem, keyPem });
}

function configText(options: InitOptions): string {
  const { federation, host = "localhost", port = 7700, enrolPort = 7701, metricsPort = 7790 } = options;
  const isLoopback = host === "localhost" || host === "::1" || host.startsWith("127.");
  return `# Settings of this federation's coordinator. Unknown keys are errors.
federation: ${JSON.stringify(federation)}
listen:
  # 0.0.0.0 is every network of this machine, 127.0.0.1 this machine alone.
  host: ${isLoopback ? "127.0.0.1" : "0.0.0.0"}
  # For sites, researchers and operators. Every connection has a certificate.
  port: ${port}
  # For invited sites that have no certificate yet.
  enrolPort: ${enrolPort}
# What sites dial. It is in the coordinator's certificate.
publicHost: ${JSON.stringify(host)}
metrics:
  host: 127.0.0.1
  port: ${metricsPort}
certificates:
  # Sites and coordinator renew theirs after two thirds of this: s, m, h or d.
  sites: 30d
  coordinator: 30d
retention:
  # How many rounds of a run keep their checkpoint, or all.
  checkpoints: all
`;
}
