import type { Clock } from "@consilium/shared/clock.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Logger } from "@consilium/shared/log.js";
import { openChannel, type RpcChannel } from "@consilium/shared/rpc/channel.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import type { AgentAudit } from "./agent-audit.js";
import type { Enrolment } from "./enrolment.js";
import type { AgentMetrics } from "./metrics.js";
import { clientOver } from "./rpc/coordinator-client.js";
import { DirectiveGate, mostDirectivesAMinute } from "./rpc/directive-gate.js";
import { RenewableClient } from "./rpc/renewable-client.js";

interface ClientParts {
  readonly enrolment: Enrolment;
  readonly bundle: TlsBundle;
  readonly proxy: HttpProxy | undefined;
  readonly metrics: AgentMetrics;
  readonly audit: AgentAudit;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly agentVersion: string;
}

/** The agent's calls to its coordinator. What is sent is recorded, what cannot be trusted is counted and audited. */
export function agentClient(parts: ClientParts): RenewableClient {
  const { enrolment, bundle, proxy } = parts;
  const gate = gateOf(parts);
  return new RenewableClient(bundle, (newest) => {
    const channel = openChannel({ ...enrolment, proxy, bundle: newest });
    return { channel, client: callsOver(channel, gate, parts) };
  });
}

/** All that is kept out is counted; log and audit log say so once a minute. */
function gateOf({ clock, metrics, audit, logger }: ClientParts): DirectiveGate {
  return new DirectiveGate({
    clock,
    onSurplus({ isFirst }) {
      const code = "overloaded";
      metrics.rejected(code);
      if (!isFirst) return;
      audit.note({ action: "directive.rejected", object: {}, outcome: "refused", reason: code });
      const reason = `more than ${mostDirectivesAMinute} plans or withdrawals came within a minute`;
      logger.error("directives-dropped", {
        code,
        reason,
        remedy: "the coordinator is faulty or hostile; tell its operator",
      });
    },
  });
}

function callsOver(
  channel: RpcChannel,
  gate: DirectiveGate,
  { enrolment, metrics, audit, logger, agentVersion }: ClientParts,
) {
  return clientOver(channel, {
    gate,
    siteId: enrolment.siteId,
    agentVersion,
    planPublicKey: new Uint8Array(Buffer.from(enrolment.planPublicKey, "hex")),
    traffic: {
      sent: (bytes) => metrics.sent(bytes),
      received: (bytes) => metrics.received(bytes),
      rejected(code) {
        metrics.rejected(code);
        audit.note({ action: "directive.rejected", object: {}, outcome: "refused", reason: code });
      },
    },
    egress: audit.egress,
    auditHead: audit.head,
    logger,
  });
}
