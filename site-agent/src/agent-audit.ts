import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Logger } from "@consilium/shared/log.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { AuditEvent } from "./audit/audit-entry.js";
import type { AuditTrail } from "./audit/audit-log.js";
import { type EgressKind, EgressRecord } from "./audit/egress-record.js";
import { readSignedHead } from "./audit/signed-head.js";
import { openSiteLog } from "./audit/site-log.js";
import { Witness } from "./audit/witness.js";
import { policyPath, type SiteConfig } from "./config.js";
import { everySoOften } from "./every-so-often.js";
import type { SiteHome } from "./home.js";
import type { Policy } from "./policy.js";
import { PolicyWatch } from "./policy-watch.js";

/** What the audit log of a running agent rests on. */
export interface AgentAuditOptions {
  readonly home: SiteHome;
  readonly config: SiteConfig;
  readonly identity: IdentityKey;
  readonly bundle: TlsBundle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly agentVersion: string;
  readonly onLeft: (kind: EgressKind, bytes: number) => void;
}

export interface AgentAudit {
  readonly trail: AuditTrail;
  readonly egress: EgressRecord;
  readonly loadPolicy: () => Policy;
  /** Hash of the newest checkpoint, for the coordinator to witness. */
  readonly head: () => Uint8Array | undefined;
  /** What the coordinator signed that it saw of this log. */
  witnessed(key: RoundKey, head: Uint8Array): void;
  /** Signs now, so that the next report carries all that was written. */
  sign(): void;
  /** Writes down what has happened already, so that not writing it stops nothing. */
  note(event: AuditEvent): void;
  /** The agent stopped. */
  close(): void;
}

/** A crash loses at most this long a stretch of the sums of small messages. */
const countEveryMs = 60_000;
/** What is not signed for this long could be cut off unseen. */
const signEveryMs = 5 * 60_000;

/**
 * Opens the log and writes that the agent starts.
 * @throws ConsiliumError "storage": an agent that cannot keep its audit log does not run.
 */
export function openAgentAudit(options: AgentAuditOptions): AgentAudit {
  const { home, config, identity, clock, logger, onLeft } = options;
  const log = openSiteLog({ home, settings: config.audit, identity, clock, role: "agent" });
  const policy = new PolicyWatch(policyPath(home, config), log);
  const witness = new Witness(home.audit, log, clock);
  const egress = new EgressRecord({ trail: log, logger, onLeft });
  try {
    recordStart(log, options, policy.digest);
    // So that the first report has something for the coordinator to witness.
    log.checkpoint();
  } catch (thrown) {
    log.close();
    throw thrown;
  }
  const notWritten = (thrown: unknown) =>
    logger.error("audit-not-written", { reason: asConsiliumError(thrown).message });
  const attempt = (task: () => void) => {
    try {
      task();
    } catch (thrown) {
      notWritten(thrown);
    }
  };
  const cancels = [
    everySoOften({ clock, everyMs: countEveryMs, task: () => attempt(() => egress.flush()) }),
    everySoOften({ clock, everyMs: signEveryMs, task: () => attempt(() => log.checkpoint()) }),
  ];
  return {
    ...{ trail: log, egress, loadPolicy: () => policy.load() },
    head() {
      const signed = readSignedHead(home.audit, identity.publicKey);
      return signed === undefined ? undefined : new Uint8Array(Buffer.from(signed.head, "hex"));
    },
    witnessed(key, head) {
      witness.compare(key, head).then((isHere) => {
        if (!isHere) logger.error("audit-log-differs", { remedy: "consilium-agent audit verify" });
      }, notWritten);
    },
    sign: () => attempt(() => log.checkpoint()),
    note: (event) => attempt(() => log.record(event)),
    close() {
      for (const cancel of cancels) cancel();
      witness.close();
      egress.flush();
      attempt(() => log.record({ action: "agent.stopped", object: {} }));
      attempt(() => log.close());
    },
  };
}

function recordStart(trail: AuditTrail, { agentVersion, bundle }: AgentAuditOptions, policy: string | undefined): void {
  const { fingerprint, notAfterMs } = describeCertificate(bundle.certPem);
  trail.record({ action: "agent.started", object: { version: agentVersion, ...(policy && { policy }) } });
  trail.record({ action: "certificate.used", object: { certificate: fingerprint, notAfterMs } });
}
