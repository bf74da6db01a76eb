import type { Command } from "commander";
import { addAuditExport } from "./audit-export-command.js";
import { addAuditShow } from "./audit-show-command.js";
import { addAuditVerify } from "./audit-verify-command.js";
import { example, type Surroundings } from "./surroundings.js";

/** The site's own record of what happened. */
export function addAudit(program: Command, surroundings: Surroundings): void {
  const audit = program
    .command("audit")
    .description("the site's audit log: verify that nobody changed it, read it, hand it to a collector");
  addAuditVerify(audit, surroundings);
  addAuditShow(audit, surroundings);
  addAuditExport(audit, surroundings);
  example(audit, "consilium-agent audit verify", "consilium-agent audit show --since 7d --action plan");
}
