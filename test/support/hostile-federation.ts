import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homePaths } from "@consilium/coordinator/config.js";
import { type Coordinator, startCoordinator } from "@consilium/coordinator/coordinator.js";
import { initCoordinator } from "@consilium/coordinator/init.js";
import type { RoundRecord, RunDetail } from "@consilium/coordinator/round/progress.js";
import type { RuleTimes } from "@consilium/coordinator/round/rules.js";
import { connectAdmin } from "@consilium/coordinator/rpc/admin-client.js";
import type { Admin } from "@consilium/coordinator/rpc/admin-types.js";
import { createCertificateRequest } from "@consilium/shared/identity/certificate-request.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { decodeInvitation, type Invitation } from "@consilium/shared/identity/invitation.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { type LogFields, type Logger, silentLogger } from "@consilium/shared/log.js";
import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { signedRosterBytes } from "@consilium/shared/roster/signed-roster.js";
import type { ServerLimits } from "@consilium/shared/rpc/server.js";
import { enrol } from "@consilium/site-agent/rpc/enrolment-client.js";
import { until } from "../../deploy/demo/processes.js";
import { HostileSite, unwrittenEgress } from "./hostile-site.js";
import { tinyRun } from "./small-federation.js";

export const federationName = "demo";

/** For tests that call more often than any budget of calls allows, to see what else holds. */
export const unboundedCalls = { callCostPerSecond: 1e9, callCostAtOnce: 1e9 } as const satisfies Partial<ServerLimits>;

/** A coordinator in this process, and sites with real certificates that do whatever a test makes them do. */
export class HostileFederation {
  readonly sites: HostileSite[] = [];
  readonly logged: { event: string; fields: LogFields }[] = [];
  readonly #home = join(mkdtempSync(join(tmpdir(), "hostile-")), "home");
  readonly #admins = new Map<string, Admin>();
  readonly #members = new Map<string, Uint8Array>();
  #coordinator: Coordinator | undefined;
  #runs = 0;

  static async start(
    siteIds: readonly string[],
    limits: Partial<ServerLimits> = {},
    times: Partial<RuleTimes> = {},
  ): Promise<HostileFederation> {
    const federation = new HostileFederation();
    await federation.#start(limits, times);
    // Making a key takes a second, and nothing depends on the sites' TLS keys being different.
    const key = await generateTlsKey();
    for (const siteId of siteIds) federation.sites.push(await federation.#join(siteId, key));
    await federation.#publishRoster();
    return federation;
  }

  async #start(limits: Partial<ServerLimits>, times: Partial<RuleTimes>): Promise<void> {
    const home = this.#home;
    await initCoordinator({ home, federation: federationName, port: 0, enrolPort: 0, metricsPort: 0 });
    const note = (event: string, fields: LogFields = {}) => void this.logged.push({ event, fields });
    const logger: Logger = { ...silentLogger, info: note, warn: note, error: note };
    this.#coordinator = await startCoordinator({ home, logger, limits, times: { settleMs: 100, ...times } });
  }

  async #join(siteId: string, key: TlsKeyPair): Promise<HostileSite> {
    const invitation = await this.invite(siteId);
    const identity = IdentityKey.generate();
    const csrPem = createCertificateRequest(key, siteId);
    const { caPem, certificatePem, planPublicKey } = await enrol(
      invitation,
      { csrPem, identityPublicKey: identity.publicKey },
      { egress: unwrittenEgress, proxy: undefined },
    );
    const bundle: TlsBundle = { caPem, certPem: certificatePem, keyPem: key.privateKeyPem };
    this.#members.set(siteId, identity.publicKey);
    const members = this.#members;
    return new HostileSite({ siteId, identity, planPublicKey, bundle, members, port: this.ports.main });
  }

  async #publishRoster(): Promise<void> {
    const roster = testRoster(Object.fromEntries(this.#members), testGovernance());
    await this.admin("operator").publishRoster(signedRosterBytes(roster));
  }

  async invite(siteId: string): Promise<Invitation> {
    return decodeInvitation((await this.admin("operator").inviteSite({ siteId, validHours: 1 })).token);
  }

  /** Everything that the coordinator keeps on its disk. */
  get home(): string {
    return this.#home;
  }

  get ports(): Coordinator["ports"] {
    return this.#coordinator!.ports;
  }

  credentials(role: "operator" | "researcher"): TlsBundle {
    const read = (name: string) => readFileSync(join(homePaths(this.#home)[role], name), "utf8");
    return { caPem: read("ca.pem"), certPem: read("cert.pem"), keyPem: read("key.pem") };
  }

  /** One connection for each role: the coordinator takes few of one caller. */
  admin(role: "operator" | "researcher"): Admin {
    const known = this.#admins.get(role);
    if (known !== undefined) return known;
    const tls = this.credentials(role);
    const admin = connectAdmin({ host: "localhost", port: this.ports.main, federation: federationName, tls });
    this.#admins.set(role, admin);
    return admin;
  }

  /** Launches a run, of one round unless a test says more; resolves once every site of the cohort has its plan. */
  async launch(
    overrides: Readonly<Record<string, unknown>> = {},
    cohort: readonly string[] = this.sites.map(({ siteId }) => siteId),
  ): Promise<string> {
    const config = { ...tinyRun, name: "hostile", rounds: 1, ...overrides };
    const request = { requestId: `request-${this.#runs++}`, configYaml: JSON.stringify(config) };
    const { runId } = await this.admin("researcher").launchRun(request);
    await Promise.all(this.sitesNamed(cohort).map((site) => site.planOf(runId)));
    return runId;
  }

  sitesNamed(names: readonly string[]): HostileSite[] {
    return this.sites.filter(({ siteId }) => names.includes(siteId));
  }

  /** So that a test that fails in the middle of a round leaves the next one a free coordinator. */
  async stopRuns(): Promise<void> {
    const admin = this.admin("researcher");
    const unfinished = (await admin.listRuns()).filter(({ status }) => !["completed", "stopped"].includes(status));
    for (const { runId } of unfinished) await admin.stopRun(runId);
  }

  /** The record of one of the run's rounds, once it is committed. */
  async committed(runId: string, round = 1): Promise<RoundRecord> {
    return this.#watched(runId, ({ history }) => history[round - 1]);
  }

  /** Why the run paused by itself, once it has. */
  async paused(runId: string): Promise<string> {
    return this.#watched(runId, ({ summary }) => (summary.status === "paused" ? summary.statusReason : undefined));
  }

  /** Resolves once the run waits for this. */
  async waitsFor(runId: string, text: string): Promise<string> {
    const found = ({ current }: RunDetail) => (current?.waitingFor.includes(text) ? current.waitingFor : undefined);
    return this.#watched(runId, found);
  }

  async #watched<T>(runId: string, wanted: (run: RunDetail) => T | undefined): Promise<T> {
    for await (const run of this.admin("researcher").watchRun(runId, AbortSignal.timeout(20_000))) {
      const found = wanted(run);
      if (found !== undefined) return found;
    }
    throw new Error("the run ended without what the test waits for");
  }

  /** Resolves once the coordinator has the site where it should be in the run's current round. */
  async siteReaches(runId: string, { siteId, phase }: { siteId: string; phase: string }): Promise<void> {
    const researcher = this.admin("researcher");
    await until(`${siteId} ${phase}`, 20_000, async () => {
      const { current } = await researcher.getRun(runId);
      return current?.sites.some((site) => site.siteId === siteId && site.phase === phase) ? true : undefined;
    });
  }

  /** The samples of a metric by their label text, as in `{method="…",code="…"}`. */
  async metric(name: string): Promise<Map<string, number>> {
    const page = await (await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`)).text();
    const samples = [...page.matchAll(new RegExp(`^${name}(\\{.*\\})? (\\S+)$`, "gm"))];
    return new Map(samples.map(([, labels = "", value]) => [labels, Number(value)]));
  }

  async stop(): Promise<void> {
    for (const site of this.sites) await site.close();
    for (const admin of this.#admins.values()) admin.close();
    await this.#coordinator?.stop();
    rmSync(join(this.#home, ".."), { recursive: true, force: true });
  }
}
