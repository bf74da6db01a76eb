import type { Clock } from "@consilium/shared/clock.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type { PeerIdentity } from "@consilium/shared/identity/peer-identity.js";
import type { Logger } from "@consilium/shared/log.js";
import type { Caller } from "@consilium/shared/rpc/caller.js";
import type { CallHooks } from "@consilium/shared/rpc/serve-call.js";
import { createServer, type RpcServer, type ServerLimits } from "@consilium/shared/rpc/server.js";
import { type ServerTls, TlsServerCredentials } from "@consilium/shared/rpc/server-credentials.js";
import type { AggregateStore } from "../checkpoint/aggregate-store.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { CoordinatorConfig } from "../config.js";
import type { CoordinatorMetrics } from "../metrics.js";
import type { RunQueue } from "../round/run-queue.js";
import type { Submissions } from "../round/submissions.js";
import type { SiteDesk } from "../sites/desk.js";
import type { Enrolment } from "../sites/enrolment.js";
import type { SiteRegistry } from "../sites/registry.js";
import type { CertificateRenewal } from "../sites/renewal.js";
import type { RosterDesk } from "../sites/roster-desk.js";
import { type PersonStore, personRoles } from "../store/person-store.js";
import type { RunStore } from "../store/run-store.js";
import type { SiteStore } from "../store/site-store.js";
import { accessTable } from "./access.js";
import { adminService } from "./admin-service.js";
import { enrolmentService } from "./enrolment-service.js";
import { federationService } from "./federation-service.js";
import { secAggService } from "./secagg-service.js";
import type { SiteStreams } from "./site-streams.js";
import { admissionLimits, UploadAdmission } from "./upload-admission.js";

export interface ServersOptions {
  readonly config: CoordinatorConfig;
  readonly planKey: IdentityKey;
  readonly tls: ServerTls;
  /** Every authority that sites must trust, in PEM. */
  readonly trustPem: () => string;
  readonly queue: RunQueue;
  readonly submissions: Submissions;
  readonly registry: SiteRegistry;
  readonly streams: SiteStreams;
  readonly desk: SiteDesk;
  readonly rosters: RosterDesk;
  readonly enrolment: Enrolment;
  readonly renewal: CertificateRenewal;
  /** A site was revoked: from now on no handshake may succeed with a certificate of it. */
  readonly onRevoked: () => void;
  readonly store: RunStore;
  readonly siteStore: SiteStore;
  readonly personStore: PersonStore;
  readonly checkpoints: CheckpointStore;
  readonly aggregates: AggregateStore;
  readonly metrics: CoordinatorMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the main server; tests shorten them. */
  readonly limits?: Partial<ServerLimits>;
}

/** The two gRPC servers: enrolment stands alone, since its callers have no certificate. */
export interface Servers {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** New handshakes use these certificates and lists. */
  reload(tls: ServerTls): void;
  /** Ends the calls and connections that were opened with other certificates of a site than this one. */
  shutOut(siteId: string, exceptSerial?: string): void;
  /** The same for these certificates, whose ever they are. */
  shutOutSerials(serials: ReadonlySet<string>): void;
  /** As bound; 0 before the start. */
  ports(): { readonly main: number; readonly enrolment: number };
}

/** Long enough for an answer that is on its way; calls that wait for a stage are repeated by the sites. */
const drainMs = 2_000;

export function createServers(options: ServersOptions): Servers {
  const hooks: CallHooks = {
    log: options.log,
    clock: options.clock,
    onRejected: options.metrics.rejected,
    onFinished: options.metrics.answered,
  };
  const credentials = {
    main: TlsServerCredentials.mutual(options.tls),
    enrolment: TlsServerCredentials.enrolment(options.tls),
  };
  const shutOut = (siteId: string, exceptSerial?: string) =>
    void main.shutOut(({ identity, serial }) => isSite(identity, siteId) && serial !== exceptSerial);
  const main = mainServer({ ...options, credentials: credentials.main, shutOut }, hooks);
  const enrolment = enrolmentServer({ ...options, credentials: credentials.enrolment }, hooks);
  let ports = { main: 0, enrolment: 0 };
  return {
    async start() {
      ports = { main: await main.start(), enrolment: await enrolment.start() };
    },
    async stop() {
      await Promise.all([main.stop(), enrolment.stop()]);
    },
    reload(tls) {
      credentials.main.reload(tls);
      credentials.enrolment.reload({ ...tls, revocationLists: undefined });
    },
    shutOut,
    shutOutSerials: (serials) => void main.shutOut(({ serial }) => serials.has(serial)),
    ports: () => ports,
  };
}

const isSite = ({ role, id }: PeerIdentity, siteId: string) => role === "site" && id === siteId;

type WithCredentials = ServersOptions & { readonly credentials: TlsServerCredentials };
type ShutOut = { readonly shutOut: (siteId: string) => void };

function mainServer(options: WithCredentials & ShutOut, hooks: CallHooks): RpcServer {
  const { config, credentials, queue, store, checkpoints, desk, rosters, clock, onRevoked, shutOut } = options;
  const admission = new UploadAdmission(admissionLimits, options.metrics.uploads);
  const revoked = (siteId: string) => {
    onRevoked();
    shutOut(siteId);
  };
  const server = createServer({
    host: config.listen.host,
    port: config.listen.port,
    credentials,
    services: [
      federationService(options, hooks),
      secAggService({ ...options, admission }, hooks),
      adminService({ queue, store, checkpoints, sites: desk, rosters, onRevoked: revoked }, hooks),
    ],
    authorisation: {
      federation: config.federation,
      table: accessTable,
      isRevoked: (caller) => isRevoked(options, caller),
      clock,
    },
    hooks,
    drainMs,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  options.metrics.partialBytes(() => server.partialBytes);
  return server;
}

function enrolmentServer(options: WithCredentials, hooks: CallHooks): RpcServer {
  const { config, credentials, enrolment, planKey, trustPem } = options;
  const { federation, listen } = config;
  return createServer({
    host: listen.host,
    port: listen.enrolPort,
    credentials,
    services: [enrolmentService({ enrolment, federation, trustPem, planPublicKey: planKey.publicKey }, hooks)],
    authorisation: "open",
    hooks,
    drainMs,
    limits: { messageBytes: 64 * 1024, stallMs: 10_000, connectionAgeMs: 60_000, connectionGraceMs: 10_000 },
  });
}

type CertificateStores = Pick<ServersOptions, "siteStore" | "personStore">;

/** Whoever calls counts with each certificate that was issued to it here and not revoked since; a good signature is not enough. */
function isRevoked(stores: CertificateStores, caller: Caller): boolean {
  const { role } = caller.identity;
  if (role === "site") return !siteCounts(stores.siteStore, caller);
  return personRoles.some((known) => known === role) && !personCounts(stores.personStore, caller);
}

function siteCounts(store: SiteStore, { identity, serial }: Caller): boolean {
  const site = store.findSite(identity.id);
  if (site === undefined || site.revokedAtMs !== null) return false;
  const certificate = store.findCertificate(serial);
  return certificate?.siteId === identity.id && certificate.revokedAtMs === null;
}

function personCounts(store: PersonStore, { identity, serial }: Caller): boolean {
  const certificate = store.find(serial);
  const isOwn = certificate?.role === identity.role && certificate.personId === identity.id;
  return isOwn && certificate.revokedAtMs === null;
}
