import { mkdirSync } from "node:fs";
import { type Clock, systemClock } from "@consilium/shared/clock.js";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { checkBundle } from "@consilium/shared/identity/certificate-check.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { loadTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Logger } from "@consilium/shared/log.js";
import { type HttpProxy, proxyAddress } from "@consilium/shared/rpc/proxy.js";
import { createTelemetry, serveTelemetry, type TelemetryServer } from "@consilium/shared/telemetry.js";
import { type AgentAudit, openAgentAudit } from "./agent-audit.js";
import { agentClient } from "./agent-client.js";
import { lockHome } from "./agent-lock.js";
import { agentReachability } from "./agent-reachability.js";
import { openAgentRoster } from "./agent-roster.js";
import { ApprovalStore } from "./approvals/approval-store.js";
import { RunHistory } from "./approvals/run-history.js";
import { stayAttached } from "./attachment.js";
import { datasetId } from "./audit/site-log.js";
import { CertificateRenewal, type CertificateState } from "./certificate-renewal.js";
import { CheckpointCache } from "./chain/checkpoint-cache.js";
import { ModelLedger } from "./chain/ledger.js";
import { ModelChain } from "./chain/model-chain.js";
import { dataSettings, engineSettings, loadSiteConfig, type SiteConfig, scheduleHours } from "./config.js";
import { coordinatorProxy, type Environment } from "./coordinator-proxy.js";
import { ImageCounter } from "./data/image-counter.js";
import { type Enrolment, loadEnrolment } from "./enrolment.js";
import { everySoOften } from "./every-so-often.js";
import type { SiteRoster } from "./governance/site-roster.js";
import { type SiteHome, siteHome } from "./home.js";
import { type AgentMetrics, agentMetrics } from "./metrics.js";
import { privacyAccount } from "./privacy/open-account.js";
import { removeOldRuns } from "./retention.js";
import type { CoordinatorClient } from "./round/coordinator.js";
import { ledgerFiles } from "./round/ledger-files.js";
import { Participant, type RoundObserver } from "./round/participant.js";
import type { Patience } from "./round/patience.js";
import { Reporter } from "./round/reporter.js";
import { RunDraws } from "./round/run-draws.js";
import { UpdateStore } from "./round/update-store.js";
import type { RenewableClient } from "./rpc/renewable-client.js";
import { AttemptLedger } from "./secagg/attempt-ledger.js";
import { SiteSession } from "./secagg/site-session.js";
import { StatusBoard } from "./status-board.js";
import { type AgentStatus, writeStatus } from "./status-file.js";
import type { Trainer } from "./trainer/protocol.js";
import { TrainerProcess } from "./trainer/trainer-process.js";

export interface AgentOptions {
  /** Folder of the site's configuration, keys and state. */
  readonly home: string;
  readonly logger: Logger;
  readonly agentVersion?: string;
  readonly onStatus?: (status: AgentStatus) => void;
  readonly clock?: Clock;
  readonly entropy?: Entropy;
  /** Uniform in [0, 1); spreads the reconnects of many sites. */
  readonly random?: () => number;
  readonly trainer?: Trainer;
  /** Names the proxy where site.yaml leaves that to the environment. */
  readonly environment?: Environment;
}

export interface RunningAgent {
  readonly status: AgentStatus;
  stop(): Promise<void>;
}

/** What is read from the home before anything starts. */
interface Setup {
  readonly home: SiteHome;
  readonly config: SiteConfig;
  readonly enrolment: Enrolment;
  readonly bundle: TlsBundle;
  readonly identity: IdentityKey;
  /** By which all connections to the coordinator go. */
  readonly proxy: HttpProxy | undefined;
}

/**
 * Starts a site's agent; the only place that puts its parts together. It stays attached to the coordinator and takes
 * part in rounds until it is stopped.
 * @throws ConsiliumError "config-missing", "config-invalid", "certificate-refused", or "already-exists" while another
 * agent runs in the same home. An unreachable coordinator is no error: the agent waits.
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const home = siteHome(options.home);
  const setup = await readSetup(home, options);
  const unlock = lockHome(home.lock);
  try {
    return await start(options, setup, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function readSetup(home: SiteHome, options: AgentOptions): Promise<Setup> {
  const { clock = systemClock, environment = {} } = options;
  const enrolment = loadEnrolment(home);
  const config = loadSiteConfig(home);
  const bundle = await loadTlsBundle(home.identity.directory);
  const identity = await IdentityKey.load(home.identity.identityKey);
  const { federation, siteId } = enrolment;
  checkBundle(bundle, { identity: { federation, role: "site", id: siteId }, nowMs: clock.now() });
  const proxy = coordinatorProxy({ home, environment, host: enrolment.host }, config.coordinator);
  return { home, config, enrolment, bundle, identity, proxy };
}

async function start(options: AgentOptions, setup: Setup, unlock: () => void): Promise<RunningAgent> {
  const { clock = systemClock, random = Math.random, logger, agentVersion = "0" } = options;
  const { home, config, enrolment } = setup;
  for (const directory of [home.runs, home.updates]) mkdirSync(directory, { recursive: true });
  for (const runId of await removeOldRuns(home, clock.now())) logger.info("old-run-removed", { runId });

  const telemetry = createTelemetry();
  const metrics = agentMetrics(telemetry);
  const audit = openAgentAudit({
    ...setup,
    clock,
    logger,
    agentVersion,
    onLeft: (kind, bytes) => metrics.left(kind, bytes),
  });
  const coordinator = `${enrolment.host}:${enrolment.port}`;
  const facts = { pid: process.pid, agentVersion, ...enrolmentFacts(enrolment), coordinator };
  const board = new StatusBoard(facts, { clock, publish: (status) => publish(options, home, status) });
  const client = agentClient({ ...setup, clock, metrics, audit, logger, agentVersion });
  const reachability = agentReachability({ ...setup, logger, coordinator, board, client });
  const backoff = { ...config.reconnect, random };
  const patience: Patience = {
    clock,
    backoff,
    onReached: () => reachability.reached(),
    onUnreachable: (error) => reachability.failed(error),
  };

  const trainer = options.trainer ?? trainerProcess({ logger, clock, metrics, board });
  const reporter = new Reporter({ coordinator: client, patience, logger });
  const observer = observerOf({ metrics, board, audit, siteId: enrolment.siteId });
  const { roster, stop: forgetRoster } = openAgentRoster({
    ...{ ...setup, clock, logger, audit, metrics, client, reachability },
  });
  const participant = participantOf(setup, { options, audit, client, trainer, patience, reporter, observer, roster });

  const stopping = new AbortController();
  let attached = false;
  const onAttached = (is: boolean) => {
    attached = is;
    metrics.connected(is);
    board.connection(is, reachability.reason);
  };
  const telemetryServer = await serveMetrics(config, { telemetry, attached: () => attached }).catch(
    (error: unknown) => {
      forgetRoster();
      client.close();
      audit.close();
      throw error;
    },
  );
  board.metricsAt(`http://${config.metrics.host}:${telemetryServer.port}/metrics`);
  const { signal } = stopping;
  let detach = () => {};
  const attachment = stayAttached({
    ...{ coordinator: client, reachability, onAttached, clock, backoff, signal },
    receive: participant.receive.bind(participant),
    onConnection: (end) => {
      detach = end;
    },
    rest: () => client.rest(),
  });
  const renewal = renewalOf(setup, { client, audit, clock, random, logger, metrics, board });
  const cancelReconsidering = everySoOften({
    ...{ clock, everyMs: reconsiderEveryMs },
    task: async () => {
      if (await participant.reconsider()) detach();
    },
  });
  const way = setup.proxy === undefined ? {} : { proxy: proxyAddress(setup.proxy) };
  logger.info("started", { site: enrolment.siteId, federation: enrolment.federation, coordinator, ...way });

  return {
    get status() {
      return board.status;
    },
    async stop() {
      stopping.abort();
      cancelReconsidering();
      forgetRoster();
      await renewal.stop();
      await participant.stop();
      await reporter.stop();
      await attachment;
      await trainer.stop();
      client.close();
      await telemetryServer.close();
      board.stopped();
      audit.close();
      unlock();
      logger.info("stopped");
    },
  };
}

/** How soon an edited policy, or the beginning of the site's hours, is noticed. */
const reconsiderEveryMs = 15_000;

const enrolmentFacts = ({ federation, siteId }: Enrolment) => ({ federation, siteId });

function publish({ onStatus, logger }: AgentOptions, home: SiteHome, status: AgentStatus): void {
  try {
    writeStatus(home.statusJson, status);
  } catch (error) {
    // A full disk must not end a round over a status line.
    logger.warn("status-not-written", { reason: error instanceof Error ? error.message : "" });
  }
  onStatus?.(status);
}

interface RenewalAudience {
  readonly client: RenewableClient;
  readonly audit: AgentAudit;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: AgentMetrics;
  readonly board: StatusBoard;
}

function renewalOf({ home, enrolment }: Setup, parts: RenewalAudience): CertificateRenewal {
  const { client, audit, clock, random, logger, metrics, board } = parts;
  const { federation, siteId } = enrolment;
  return new CertificateRenewal({
    ...{ client, clock, random, logger, trail: audit.trail, directory: home.identity.directory },
    identity: { federation, role: "site", id: siteId },
    onState(state: CertificateState) {
      metrics.certificate(state);
      board.certificate(state);
    },
  });
}

interface ObserverParts {
  readonly metrics: AgentMetrics;
  readonly board: StatusBoard;
  readonly audit: AgentAudit;
  readonly siteId: string;
}

/** Everyone who wants to know what happens in rounds. */
function observerOf({ metrics, board, audit, siteId }: ObserverParts): RoundObserver {
  return {
    state(state) {
      metrics.state(state);
      board.state(state);
      if (state.kind === "done") audit.sign();
    },
    planned({ key, auditWitnesses = [] }) {
      const own = auditWitnesses.find((witness) => witness.siteId === siteId);
      if (own !== undefined) audit.witnessed(key, own.head);
    },
    progress(progress) {
      metrics.progress(progress);
      board.progress(progress);
    },
    trained: (trained) => metrics.trained(trained),
    refused: (clause) => metrics.refused(clause),
    rejected: (check) => metrics.failedCheck(check),
    worked: (work, durationMs) => metrics.worked(work, durationMs),
  };
}

interface TrainerAudience {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: AgentMetrics;
  readonly board: StatusBoard;
}

function trainerProcess({ logger, clock, metrics, board }: TrainerAudience): TrainerProcess {
  return new TrainerProcess({
    log: logger.child({ part: "trainer" }),
    clock,
    onPrepared(prepared) {
      metrics.prepared(prepared);
      board.prepared(prepared);
    },
  });
}

interface Parts {
  readonly options: AgentOptions;
  readonly audit: AgentAudit;
  readonly client: CoordinatorClient;
  readonly trainer: Trainer;
  readonly patience: Patience;
  readonly reporter: Reporter;
  readonly observer: RoundObserver;
  readonly roster: SiteRoster;
}

function participantOf(setup: Setup, parts: Parts): Participant {
  const { options, audit, client, trainer, patience, reporter, observer, roster } = parts;
  const { home, config, enrolment, identity } = setup;
  const { entropy = systemEntropy, clock = systemClock, logger } = options;
  const data = dataSettings(home, config);
  const { siteId, federation } = enrolment;
  const ledger = new AttemptLedger(ledgerFiles(home.attempts));
  const images = new ImageCounter({ settings: data, now: () => performance.now() });
  return new Participant({
    attempt: {
      siteId,
      coordinator: client,
      trainer,
      models: new ModelChain(new CheckpointCache(home.checkpoints), new ModelLedger(home.models)),
      updates: new UpdateStore(home.updates),
      draws: new RunDraws({ directory: home.runs, entropy, ledger }),
      ledger,
      roster,
      openSession: (received, floors) => new SiteSession({ received, siteId, identity, entropy, floors, ledger }),
      training: {
        stateDirectory: home.runs,
        data,
        threads: config.trainer.threads || undefined,
        engine: engineSettings(home, config),
      },
      patience,
      privacy: privacyAccount(home, data),
      audit: audit.trail,
    },
    federation,
    loadPolicy: audit.loadPolicy,
    approvals: new ApprovalStore(home.approvals, clock),
    history: new RunHistory(home.runHistory, datasetId(data)),
    hours: scheduleHours(config),
    countSamples: () => images.count(),
    reporter,
    observer,
    logger,
  });
}

function serveMetrics(
  { metrics: { host, port } }: SiteConfig,
  { telemetry, attached }: { telemetry: ReturnType<typeof createTelemetry>; attached: () => boolean },
): Promise<TelemetryServer> {
  return serveTelemetry({
    host,
    port,
    telemetry,
    // An agent whose coordinator is away is well: it waits.
    health: () => ({ healthy: true, checks: { coordinator: attached() ? "attached" : "waiting" } }),
  });
}
