import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";

/** A message of the attempt that did not pass one of this site's checks: the site takes no further part in the attempt. */
export class ProtocolRefusal extends ConsiliumError {
  /** Name of the check, for the audit log and the metrics. */
  readonly check: string;
  /** Whether no fault or delay of honest processes explains the message. */
  readonly isAttack: boolean;

  constructor(check: string, message: string, options: { code?: ErrorCode; remedy?: string; isAttack?: boolean } = {}) {
    const { code = "message-conflict", remedy = "the site joins the round's next attempt", isAttack = false } = options;
    super(code, message, { remedy });
    this.check = check;
    this.isAttack = isAttack;
  }
}

/** The coordinator contradicts what it said before, or what this site itself sent. */
export function contradiction(check: string, message: string): ProtocolRefusal {
  const remedy = "the coordinator is faulty or hostile; tell its operator before taking part again";
  return new ProtocolRefusal(check, message, { remedy, isAttack: true });
}
