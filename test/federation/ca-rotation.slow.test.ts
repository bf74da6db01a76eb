import { X509Certificate } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateAuthority, loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { parseAuthorities } from "@consilium/shared/identity/certificate-check.js";
import { loadTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { diagnoseConnection } from "@consilium/shared/rpc/probe.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands, mustRun, runCommand, until } from "../../deploy/demo/processes.js";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

const sites = ["north", "south", "west"];
/** Joins with the others, and is away until all is over. */
const away = "east";
/** A site whose certificate expires while the coordinator is away is out: a busy machine takes half a minute to start it. */
const certificateSeconds = 120;

describe("a change to a new certificate authority while a run goes on", () => {
  let federation: SmallFederation;
  let older: CertificateAuthority;
  let key: TlsKeyPair;

  const authorityFolder = () => join(federation.coordinatorHome, "authority");
  const log = () => readFileSync(join(federation.directory, "logs", "coordinator.log"), "utf8");
  const bundleOf = (site: string) => loadTlsBundle(join(federation.agentHome(site), "identity"));
  const issuedBy = ({ certPem }: TlsBundle, authority: CertificateAuthority) =>
    new X509Certificate(certPem).verify(new X509Certificate(authority.certificatePem).publicKey);

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: [...sites, away] });
    await federation.initialise();
    const path = join(federation.coordinatorHome, "coordinator.yaml");
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(": 30d", `: ${certificateSeconds}s`));
    // What someone who has seen the key keeps.
    const copy = join(federation.directory, "seen");
    cpSync(authorityFolder(), copy, { recursive: true });
    older = await loadAuthority(copy);
    key = await generateTlsKey();
    await federation.startCoordinator();
    for (const hospital of federation.hospitals) {
      await federation.join(hospital);
      // At once: its certificate does not last long.
      if (hospital.id !== away) federation.startAgent(hospital.id);
    }
    await federation.admit(...sites);
  }, 240_000);

  afterAll(() => federation.remove(), 60_000);

  /** What the coordinator makes of a good, unexpired certificate of this site by this authority. */
  async function answerTo(authority: CertificateAuthority, siteId: string): Promise<string> {
    const { certificatePem: certPem } = authority.issueLeaf({
      identity: { federation: "demo", role: "site", id: siteId },
      publicKeyPem: key.publicKeyPem,
      validForMs: 3_600_000,
    });
    const bundle = { ...(await bundleOf(siteId)), certPem, keyPem: key.privateKeyPem };
    const route = { host: "localhost", port: federation.mainPort, federation: "demo" };
    return (await diagnoseConnection({ ...route, bundle })).reason;
  }

  it("fails no round, takes every site along, and then shuts out what only the older one vouches for", async () => {
    const training = { batchSize: 16, stepsPerRound: 12 };
    // As long as a restart may take a busy machine, with a key to be made in between.
    const deadlines = { trainingSeconds: 120, stageSeconds: 60 };
    const cohort = { minSites: sites.length };
    const runId = await federation.launch({ name: "rotating", rounds: 500, training, cohort, deadlines });
    await federation.runUntil(runId, "two rounds", ({ summary }) => summary.roundsDone >= 2);
    const rotate = ["coordinator", "ca", "rotate", "--home", federation.coordinatorHome];
    expect((await runCommand(commands.consilium, rotate)).stderr).toContain("another coordinator is running");

    // As docs/operator.md says.
    expect(await federation.stopCoordinator()).toBe(0);
    await mustRun(commands.consilium, rotate);
    await federation.startCoordinator();
    await mustRun(commands.consilium, ["coordinator", "credentials", "renew", "--home", federation.coordinatorHome]);
    const newer = await loadAuthority(authorityFolder());
    expect(newer.rolloverEndsMs).toBeGreaterThan(Date.now());
    // Until the older one ends, its holder gets through the handshake, though no call is answered.
    expect(await answerTo(older, "north")).toBe("ok");

    await until("rollover ended", 180_000, async () => log().includes("authority-rollover-ended") || undefined);
    const { summary } = await federation.show(runId);
    await federation.runUntil(runId, "two more rounds", (run) => run.summary.roundsDone >= summary.roundsDone + 2);
    await federation.consilium("run", "stop", runId);
    const run = await federation.show(runId);
    expect(run.history.map(({ attempts }) => attempts)).toEqual(run.history.map(() => 1));
    expect(run.history.flatMap(({ dropped }) => dropped)).toEqual([]);
    expect(run.history.every(({ cohort }) => cohort.length === sites.length)).toBe(true);
    expect(lineageHolds(run)).toBe(true);

    for (const site of sites) expect([site, issuedBy(await bundleOf(site), newer)]).toEqual([site, true]);
    expect((await loadAuthority(authorityFolder())).rolloverEndsMs).toBeUndefined();
    expect(await answerTo(newer, "north")).toBe("ok");
    expect(await answerTo(older, "north")).not.toBe("ok");
    expect(log()).toMatch(/"reason":"UNABLE_TO_(GET_CRL|VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT_LOCALLY)"/);
  }, 500_000);

  it("lets each site forget the older authority with the next renewal", async () => {
    for (const site of sites) {
      await until(`${site} forgets`, 150_000, async () => {
        const { caPem } = await bundleOf(site);
        return parseAuthorities(caPem).length === 1 || undefined;
      });
    }
  }, 180_000);

  it("lets a site that was away come back by an invitation, and not without", async () => {
    const start = await runCommand(commands.agent, ["run", "--home", federation.agentHome(away)]);
    expect(start.code).not.toBe(0);
    expect(start.stderr).toContain("expired");
    const invitation = JSON.parse(await federation.consilium("site", "invite", away, "--json")) as { token: string };
    await mustRun(commands.agent, ["join", invitation.token, "--home", federation.agentHome(away)]);
    expect(issuedBy(await bundleOf(away), await loadAuthority(authorityFolder()))).toBe(true);
    federation.startAgent(away);
    await until(`${away} attached`, 60_000, async () => {
      const { sites: listed } = JSON.parse(await federation.consilium("site", "list", "--json")) as {
        sites: readonly { readonly siteId: string; readonly attached: boolean }[];
      };
      return listed.find(({ siteId }) => siteId === away)?.attached || undefined;
    });
  }, 120_000);
});
