import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { type Approval, approvalId } from "../approvals/approval.js";
import { ApprovalStore } from "../approvals/approval-store.js";
import { loadEnrolment } from "../enrolment.js";
import type { SiteHome } from "../home.js";
import { approvalLines, approvalTable, decisionLine, verdictsOnApproval } from "./approvals-view.js";
import { recordCommand } from "./audit-access.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface HomeOption {
  readonly home?: string;
}

/** The word of this site's people on each run, where the policy asks for it. */
export function addApprovals(program: Command, surroundings: Surroundings): void {
  const approvals = program
    .command("approvals")
    .description("runs that wait for a person of this site, where the policy says jobs.approval: manual");
  addList(approvals, surroundings);
  addShow(approvals, surroundings);
  addGrant(approvals, surroundings);
  addDeny(approvals, surroundings);
  example(approvals, "consilium-agent approvals list", "consilium-agent approvals grant r-7f3a@5b1e09c2d4f6");
}

const idHelp = "what 'approvals list' calls it; the run's id alone where that names only one";

function addList(approvals: Command, surroundings: Surroundings): void {
  const command = approvals
    .command("list")
    .description("every run that asked to begin, and what was decided")
    .option("--home <dir>", homeHelp)
    .action((options: HomeOption) => {
      const all = storeOf(homeOf(options.home, surroundings), surroundings).list();
      const document = { approvals: all.map(withId) };
      outputOf(command, surroundings).result(document, () => approvalTable(all));
    });
  example(command, "consilium-agent approvals list", "consilium-agent approvals list --json");
}

function addShow(approvals: Command, surroundings: Surroundings): void {
  const command = approvals
    .command("show")
    .description("the run's whole configuration, its digest, and what the policy says of it")
    .argument("<id>", idHelp)
    .option("--home <dir>", homeHelp)
    .action(async (called: string, options: HomeOption) => {
      const home = homeOf(options.home, surroundings);
      const approval = storeOf(home, surroundings).find(called);
      const verdicts = await verdictsOnApproval(approval, home);
      const output = outputOf(command, surroundings);
      output.result({ ...withId(approval), verdicts }, () => approvalLines(approval, verdicts));
    });
  example(command, "consilium-agent approvals show r-7f3a@5b1e09c2d4f6");
}

function addGrant(approvals: Command, surroundings: Surroundings): void {
  const command = approvals
    .command("grant")
    .description("let the run begin, with exactly the configuration that 'show' prints")
    .argument("<id>", idHelp)
    .option("--home <dir>", homeHelp)
    .action((called: string, options: HomeOption) =>
      decide({ command, surroundings, called, home: options.home, decision: "granted" }),
    );
  example(command, "consilium-agent approvals grant r-7f3a@5b1e09c2d4f6");
}

function addDeny(approvals: Command, surroundings: Surroundings): void {
  const command = approvals
    .command("deny")
    .description("refuse the run; one that was granted stops before its next round")
    .argument("<id>", idHelp)
    .option("--reason <text>", "a note for this site, at most 1000 characters; it is sent nowhere", parseReason)
    .option("--home <dir>", homeHelp)
    .action((called: string, { home, reason }: HomeOption & { reason?: string }) =>
      decide({ command, surroundings, called, home, decision: "denied", reason }),
    );
  example(command, 'consilium-agent approvals deny r-7f3a@5b1e09c2d4f6 --reason "no ethics vote yet"');
}

interface Deciding {
  readonly command: Command;
  readonly surroundings: Surroundings;
  readonly called: string;
  readonly home: string | undefined;
  readonly decision: "granted" | "denied";
  readonly reason?: string | undefined;
}

/** What cannot be written to the audit log is not decided. */
async function decide({ command, surroundings, called, decision, reason, ...rest }: Deciding): Promise<void> {
  const home = homeOf(rest.home, surroundings);
  const store = storeOf(home, surroundings);
  const approval = store.find(called);
  await recordCommand(home, surroundings, {
    action: "command.run",
    object: {
      command: decision === "granted" ? "approvals-grant" : "approvals-deny",
      ...{ run: approval.runId, config: approval.digest },
    },
  });
  const decided = store.decide(approval, decision, reason);
  outputOf(command, surroundings).result(withId(decided), () => decisionLine(decided, approval));
}

/** @throws ConsiliumError "config-missing" where no site has joined: no run ever asked there */
function storeOf(home: SiteHome, { clock }: Surroundings): ApprovalStore {
  loadEnrolment(home);
  return new ApprovalStore(home.approvals, clock);
}

function withId(approval: Approval): Approval & { readonly id: string } {
  return { id: approvalId(approval), ...approval };
}

function parseReason(text: string): string {
  if (text.length <= 1000) return text;
  throw new InvalidArgumentError("It must have at most 1000 characters.");
}
