import { formatInstant } from "@consilium/shared/terminal/format.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import type { AuditEntry } from "../audit/audit-entry.js";
import { type FilterOptions, filterOf, parseSince, recordReading, requireLog } from "./audit-access.js";
import { LogReading } from "./audit-reading.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface ShowOptions extends FilterOptions {
  readonly home?: string;
}

export function addAuditShow(audit: Command, surroundings: Surroundings): void {
  const command = audit
    .command("show")
    .description("entries as a table; with --json each entry as it is, one a line")
    .option("--home <dir>", homeHelp)
    .option("--since <time>", "a date, or a time before now such as 12h or 7d", parseSince(surroundings.clock.now()))
    .option("--action <name>", "an action such as plan.refused, or all of one kind, such as plan")
    .option("--run <id>", "entries about this run")
    .action(async (options: ShowOptions) => {
      const home = homeOf(options.home, surroundings);
      const directory = requireLog(home);
      await recordReading(home, surroundings, "audit-show");
      const output = outputOf(command, surroundings);
      const reading = new LogReading(directory);
      const entries = reading.entries(filterOf(options));
      if (output.json) for (const entry of entries) output.document(entry);
      else for (const line of entryTable([...entries])) output.line(line);
      reading.requireWhole();
    });
  example(command, "consilium-agent audit show --since 7d", "consilium-agent audit show --action plan.refused --json");
}

function entryTable(entries: readonly AuditEntry[]): string[] {
  if (entries.length === 0) return ["no such entries"];
  const columns = ["entry", "time", "who", "action", "outcome", "about"].map((title) => ({
    title,
    ...(title === "entry" ? { align: "right" as const } : {}),
  }));
  return tableLines(columns, entries.map(rowOf));
}

function rowOf({ seq, ts, actor, action, outcome, reason, object }: AuditEntry): string[] {
  const result = reason === "" ? outcome : `${outcome}: ${reason}`;
  return [String(seq), formatInstant(Date.parse(ts)), actor, action, result, aboutText(object)];
}

/** Digests are cut to what a person compares; `--json` has them whole. */
function aboutText(object: AuditEntry["object"]): string {
  return Object.entries(object)
    .filter(([name]) => name !== "signature")
    .map(
      ([name, value]) => `${name} ${/^[0-9a-f]{64}$/.test(String(value)) ? String(value).slice(0, 12) : String(value)}`,
    )
    .join(", ");
}
