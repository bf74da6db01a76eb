import { ConsiliumError } from "@consilium/shared/errors.js";

/** Clauses of the policy's section `governance` with which a plan is refused. */
export const governanceClauses = ["governance.keys", "governance.roster", "governance.additions"] as const;
export type GovernanceClause = (typeof governanceClauses)[number];

/** A plan that cannot be followed because of who is, or is not known to be, a hospital. */
export class GovernanceRefusal extends ConsiliumError {
  readonly clause: GovernanceClause;

  constructor(clause: GovernanceClause, message: string, remedy: string) {
    super("policy-refused", message, { remedy });
    this.clause = clause;
  }
}
