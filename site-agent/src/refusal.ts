import { ConsiliumError } from "@consilium/shared/errors.js";

/** This site says no in the middle of its work; the researcher is told the clause, the site's own log the reason. */
export class SiteRefusal extends ConsiliumError {
  readonly clause: string;

  constructor(clause: string, reason: string, options: { remedy?: string; cause?: unknown } = {}) {
    super("policy-refused", reason, options);
    this.clause = clause;
  }
}
