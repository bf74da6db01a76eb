import { type Clock, systemClock } from "@consilium/shared/clock.js";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateAuthority, loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { checkBundle } from "@consilium/shared/identity/certificate-check.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { spkiPin } from "@consilium/shared/identity/invitation.js";
import { loadTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Logger } from "@consilium/shared/log.js";
import type { ServerLimits } from "@consilium/shared/rpc/server.js";
import type { Telemetry } from "@consilium/shared/telemetry.js";
import { createTelemetry, serveTelemetry } from "@consilium/shared/telemetry.js";
import { finishInThread } from "./aggregate/finish-thread.js";
import { AggregateStore } from "./checkpoint/aggregate-store.js";
import { CheckpointStore } from "./checkpoint/store.js";
import { type CoordinatorConfig, homePaths, loadCoordinatorConfig } from "./config.js";
import { type CoordinatorMetrics, createMetrics } from "./metrics.js";
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
import { RosterDesk } from "./sites/roster-desk.js";
import { openDatabase } from "./store/database.js";
import { lockHome } from "./store/lock.js";
import type { RosterStore } from "./store/roster-store.js";
import type { RunStore } from "./store/run-store.js";
import type { SiteStore } from "./store/site-store.js";
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
  const credentials = await loadCredentials(home, config, surroundings);
  const stores = openStores(home, clock, onStop);
  const telemetry = createTelemetry();
  const metrics = createMetrics(telemetry);
  const rounds = createRounds({ ...surroundings, config, credentials, stores, metrics });
  const { queue, registry, streams } = rounds;
  const servers = createServers({
    ...{ ...rounds, ...stores, config, credentials, clock, metrics },
    ...createSites({ ...surroundings, config, credentials, stores, registry, ports: () => servers.ports() }),
    log: logger,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
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
  readonly bundle: TlsBundle;
  readonly planKey: IdentityKey;
}

interface Surroundings {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: Logger;
}

async function loadCredentials(home: string, config: CoordinatorConfig, { clock, entropy, logger }: Surroundings) {
  const paths = homePaths(home);
  const authority = await loadAuthority(paths.authority, { clock, entropy });
  const bundle = await loadTlsBundle(paths.tls);
  const identity = { federation: config.federation, role: "coordinator", id: "coordinator" } as const;
  const { notAfterMs } = checkBundle(bundle, { identity, nowMs: clock.now() });
  const daysLeft = Math.floor((notAfterMs - clock.now()) / 86_400_000);
  if (daysLeft < 60) logger.warn("certificate-expires-soon", { daysLeft });
  return { authority, bundle, planKey: await IdentityKey.load(paths.planKey) };
}

interface Stores {
  readonly store: RunStore;
  readonly siteStore: SiteStore;
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
  readonly ports: Servers["ports"];
}

function createSites({ config, credentials, stores, registry, clock, entropy, ports }: SiteParts) {
  const { authority, bundle } = credentials;
  const enrolment = new Enrolment({ store: stores.siteStore, clock, entropy, issue: siteIssuer(authority) });
  const address = () => ({
    federation: config.federation,
    host: config.publicHost,
    port: ports().main,
    enrolmentPort: ports().enrolment,
    pin: spkiPin(bundle.certPem),
  });
  return { enrolment, desk: new SiteDesk({ store: stores.siteStore, registry, enrolment, clock, address }) };
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
