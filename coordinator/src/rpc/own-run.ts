import { ConsiliumError } from "@consilium/shared/errors.js";
import { identityUri, type PeerIdentity } from "@consilium/shared/identity/peer-identity.js";
import type { RunRow } from "../store/run-store.js";

/**
 * Who launched a run may change it and fetch its weights, and so may every operator. Runs from before launchers were
 * stored have none, and are the operators'.
 * @param run undefined where there is none, which the queue says better
 * @throws ConsiliumError "not-authorised"
 */
export function requireOwnRun(identity: PeerIdentity, run: RunRow | undefined): void {
  if (run === undefined || identity.role === "operator" || run.launchedBy === identityUri(identity)) return;
  throw new ConsiliumError("not-authorised", `run ${run.runId} was not launched by ${identity.role} ${identity.id}`, {
    remedy: "ask who launched it, or an operator, to do this",
  });
}
