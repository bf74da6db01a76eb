import type { Logger } from "@consilium/shared/log.js";
import type { ConnectionReason } from "@consilium/shared/rpc/connection-reason.js";
import { diagnoseConnection } from "@consilium/shared/rpc/probe.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import type { Enrolment } from "./enrolment.js";
import { Reachability } from "./reachability.js";
import type { RenewableClient } from "./rpc/renewable-client.js";
import type { StatusBoard } from "./status-board.js";

interface ReachabilityParts {
  readonly enrolment: Enrolment;
  readonly proxy: HttpProxy | undefined;
  readonly logger: Logger;
  /** Its address, as the log names it. */
  readonly coordinator: string;
  readonly board: StatusBoard;
  readonly client: Pick<RenewableClient, "bundle">;
}

/** What does not go away by itself. */
const lastingReasons: ReadonlySet<ConnectionReason> = new Set(["own-expired", "own-revoked"]);

/** Whether the coordinator answers, as log and status tell it; why not is found out by the way that the agent goes. */
export function agentReachability({ enrolment, proxy, logger, coordinator, board, client }: ReachabilityParts) {
  const reachability: Reachability = new Reachability({
    address: coordinator,
    logger,
    explain: async () => {
      const { reason, message, remedy } = await diagnoseConnection({ ...enrolment, proxy, bundle: client.bundle });
      return reason === "ok" ? undefined : { text: `${message} ${remedy}`, lasting: lastingReasons.has(reason) };
    },
    onChange: () => board.connection(board.status.connected, reachability.reason),
  });
  return reachability;
}
