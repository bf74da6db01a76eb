import { type Clock, systemClock } from "@consilium/shared/clock.js";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateAuthority, loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { spkiPin } from "@consilium/shared/identity/invitation.js";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Logger } from "@consilium/shared/log.js";
import type { ServerLimits } from "@consilium/shared/rpc/server.js";
import type { Telemetry } from "@consilium/shared/telemetry.js";
import { createTelemetry, serveTelemetry } from "@consilium/shared/telemetry.js";
import { finishInThread } from "./aggregate/finish-thread.js";
import { CertificateKeeper } from "./certificates/certificate-keeper.js";
import { AggregateStore } from "./checkpoint/aggregate-store.js";
import { CheckpointStore } from "./checkpoint/store.js";
import { type CoordinatorConfig, homePaths, loadCoordinatorConfig } from "./config.js";
import { type CoordinatorMetrics, createMetrics } from "./metrics.js";
import { adoptCredentials } from "./people/adopt.js";
import { RevocationWatch } from "./people/revocation-watch.js";
import { defaultRuleTimes, type RuleTimes } from "./round/rules.js";
import { RunQueue } from "./round/run-queue.js";
import { Submissions } from "./round/submissions.js";
import { codec } from "./rpc/codec.js";
import { createServers, type Servers } from "./rpc/servers.js";
import { SiteStreams } from "./rpc/site-streams.js";
import { SiteDesk } from "./sites/desk.js";
import { Enrolment } from "./sites/enrolment.js";
import { siteIssuer } from "./sites/issuer.js";
import { membershipBy } from "./sites/membership.js";
import { SiteRegistry } from "./sites/registry.js";
import { CertificateRenewal } from "./sites/renewal.js";
import { RosterDesk } from "./sites/roster-desk.js";
import { openDatabase } from "./store/database.js";
import { lockHome } from "./store/lock.js";
import type { PersonStore } from "./store/person-store.js";
import type { RosterStore } from "./store/roster-store.js";
import type { RunStore } from "./store/run-store.js";
import type { SiteStore } from "./store/site-store.js";
import { createPersonStore } from "./store/sqlite-person-store.js";
import { createRosterStore } from "./store/sqlite-roster-store.js";
import { createRunStore } from "./store/sqlite-run-store.js";
import { createSiteStore } from "./store/sqlite-site-store.js";
import { UploadSpool } from "./store/upload-spool.js";

export interface StartOptions {
  readonly home: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly entropy?: Entropy;
  /** Waiting times that no configuration decides; tests shorten them. */
  readonly times?: Partial<RuleTimes>;
  /** Of the main server, likewise. */
  readonly limits?: Partial<ServerLimits>;
}

export interface Coordinator {
  readonly ports: { readonly main: number; readonly enrolment: number; readonly metrics: number };
  /** Addresses and names worth telling the operator. */
  readonly ready: Readonly<Record<string, string | number>>;
  /** Lets calls finish for a moment, then closes everything; what is not finished goes on after the next start. */
  stop(): Promise<void>;
}

/**
 * Starts the coordinator of a home directory: the one place where its parts are made and joined.
 * @throws ConsiliumError "config-missing" or "config-invalid" for its settings, "already-exists" when another process
 * runs there, "certificate-refused" when its certificate cannot be used, "unreachable" when a port is taken.
 */
export async function startCoordinator(options: StartOptions): Promise<Coordinator> {
  const undo: (() => void | Promise<void>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return { ...(await assemble(options, (step) => undo.push(step))), stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

type OnStop = (step: () => void | Promise<void>) => void;

async function assemble(options: StartOptions, onStop: OnStop): Promise<Omit<Coordinator, "stop">> {
  const surroundings = { clock: systemClock, entropy: systemEntropy, ...options };
  const { home, clock, logger } = surroundings;
  const config = loadCoordinatorConfig(home);
  const stores = openStores(home, clock, onStop);
  const revocations = new RevocationWatch(stores.personStore, clock);
  const credentials = await loadCredentials(home, { config, stores, ...surroundings });
  const telemetry = createTelemetry();
  const metrics = createMetrics(telemetry);
  const rounds = createRounds({ ...surroundings, config, credentials, stores, metrics });
  const { queue, registry, streams } = rounds;
  const { authority, keeper, planKey } = credentials;
  const servers = createServers({
    ...{ ...rounds, ...stores, config, clock, metrics, planKey, tls: keeper.tls },
    ...createSites({ ...surroundings, config, credentials, stores, registry, servers: () => servers }),
    trustPem: () => authority.trustPem,
    onRevoked: () => keeper.refreshLists(),
    log: logger,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  metrics.certificates(() => keeper.times);
  keeper.start((tls) => servers.reload(tls));
  onStop(() => keeper.stop());
  revocations.start((revoked) => {
    keeper.refreshLists();
    servers.shutOutSerials(new Set(revoked.map(({ serial }) => serial)));
    for (const { role, personId } of revoked) logger.info("credentials-revoked", { role, id: personId });
  });
  onStop(() => revocations.stop());
  const metricsPort = await startMetrics({ config, telemetry, registry, onStop });
  // Before the first call is answered, so that no site meets a coordinator that has forgotten its round.
  await queue.start();
  onStop(() => servers.stop());
  onStop(() => streams.endAll());
  onStop(() => queue.close());
  await servers.start();
  const ports = { ...servers.ports(), metrics: metricsPort };
  logger.info("coordinator-ready", { federation: config.federation, ...ports });
  return { ports, ready: readyFacts(home, config, ports) };
}

interface Credentials {
  readonly authority: CertificateAuthority;
  readonly keeper: CertificateKeeper;
  readonly planKey: IdentityKey;
}

interface Surroundings {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: Logger;
}

type CredentialParts = Surroundings & { readonly config: CoordinatorConfig; readonly stores: Stores };

async function loadCredentials(home: string, parts: CredentialParts): Promise<Credentials> {
  const { config, stores, clock, entropy, logger: log } = parts;
  const paths = homePaths(home);
  const authority = await loadAuthority(paths.authority, { clock, entropy });
  for (const { role, personId } of adoptCredentials(authority, stores.personStore, [
    paths.operator,
    paths.researcher,
  ])) {
    log.info("credentials-adopted", { role, id: personId });
  }
  const keeper = await CertificateKeeper.open({
    ...{ authority, clock, log, directory: paths.tls, host: config.publicHost },
    bundle: await loadTlsBundle(paths.tls),
    certificateMs: config.certificates.coordinator,
    revocationListMs: config.certificates.revocationList,
    revoked: () =>
      [...stores.siteStore.revokedCertificates(clock.now()), ...stores.personStore.listRevoked(clock.now())].map(
        ({ serial, revokedAtMs }) => ({ serial, revokedAtMs: revokedAtMs ?? clock.now() }),
      ),
  });
  return { authority, keeper, planKey: await IdentityKey.load(paths.planKey) };
}

interface Stores {
  readonly store: RunStore;
  readonly siteStore: SiteStore;
  readonly personStore: PersonStore;
  readonly rosterStore: RosterStore;
  readonly spool: UploadSpool;
  readonly checkpoints: CheckpointStore;
  readonly aggregates: AggregateStore;
}

function openStores(home: string, clock: Clock, onStop: OnStop): Stores {
  const paths = homePaths(home);
  const lock = lockHome(paths.lock);
  onStop(() => lock.release());
  const database = openDatabase(paths.database, clock.now());
  onStop(() => void database.close());
  return {
    store: createRunStore(database),
    siteStore: createSiteStore(database),
    personStore: createPersonStore(database),
    rosterStore: createRosterStore(database),
    spool: new UploadSpool(paths.spool),
    checkpoints: new CheckpointStore(paths.checkpoints),
    aggregates: new AggregateStore(paths.aggregates),
  };
}

interface RoundParts extends Surroundings {
  readonly config: CoordinatorConfig;
  readonly credentials: Credentials;
  readonly stores: Stores;
  readonly metrics: CoordinatorMetrics;
  readonly times?: Partial<RuleTimes>;
}

function createRounds({ config, credentials, stores, metrics, clock, entropy, logger, times }: RoundParts) {
  const { store, siteStore, rosterStore, spool, checkpoints, aggregates } = stores;
  const { observer } = metrics;
  const registry = new SiteRegistry(siteStore, clock);
  const rosters = new RosterDesk({ federation: config.federation, store: rosterStore, clock });
  const membership = membershipBy(rosters, siteStore);
  const streams = new SiteStreams();
  const countSites = () => metrics.attachedSites(registry.attachedSites().length);
  registry.listen({ siteAttached: countSites, siteDetached: countSites });
  const queue = new RunQueue({
    ...{ store, spool, checkpoints, aggregates, registry, membership, codec, observer, clock, entropy },
    federation: config.federation,
    transport: streams,
    sign: (message) => credentials.planKey.sign(message),
    finish: finishInThread,
    log: logger,
    times: { ...defaultRuleTimes, ...times },
    keepCheckpoints: config.retention.checkpoints,
    keepAggregates: config.retention.aggregates,
    halt: (thrown) => {
      logger.error("store-failed", { reason: asConsiliumError(thrown).message });
      // Thrown where nobody catches it: what runs now may catch it and go on as if nothing had happened.
      setImmediate(() => {
        throw thrown;
      });
    },
  });
  const submissions = new Submissions({ queue, store, spool, registry, codec, observer });
  return { registry, rosters, streams, queue, submissions };
}

interface SiteParts extends Pick<RoundParts, "config" | "credentials" | "stores" | "clock" | "entropy"> {
  readonly registry: SiteRegistry;
  readonly servers: () => Pick<Servers, "ports" | "shutOut">;
}

function createSites({ config, credentials, stores, registry, clock, entropy, servers }: SiteParts) {
  const { authority, keeper } = credentials;
  const { siteStore: store } = stores;
  const issue = siteIssuer(authority, config.certificates.sites);
  const enrolment = new Enrolment({
    ...{ store, clock, entropy, issue },
    onReplaced({ siteId, serial }) {
      keeper.refreshLists();
      servers().shutOut(siteId, serial);
    },
  });
  const renewal = new CertificateRenewal({ store, clock, issue });
  const address = () => ({
    federation: config.federation,
    host: config.publicHost,
    port: servers().ports().main,
    enrolmentPort: servers().ports().enrolment,
    pin: spkiPin(keeper.tls.certPem),
  });
  return { enrolment, renewal, desk: new SiteDesk({ store, registry, enrolment, clock, address }) };
}

interface MetricsParts {
  readonly config: CoordinatorConfig;
  readonly telemetry: Telemetry;
  readonly registry: SiteRegistry;
  readonly onStop: OnStop;
}

async function startMetrics({ config, telemetry, registry, onStop }: MetricsParts): Promise<number> {
  const health = () => ({ healthy: true, checks: { sites: `${registry.attachedSites().length} attached` } });
  const server = await serveTelemetry({ ...config.metrics, telemetry, health });
  onStop(() => server.close());
  return server.port;
}

function readyFacts(home: string, { federation, publicHost, metrics }: CoordinatorConfig, ports: Coordinator["ports"]) {
  return {
    federation,
    home,
    host: publicHost,
    port: ports.main,
    enrolPort: ports.enrolment,
    metrics: `http://${metrics.host}:${ports.metrics}/metrics`,
  };
}
