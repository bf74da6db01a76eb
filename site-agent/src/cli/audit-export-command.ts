import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Command, InvalidArgumentError, Option } from "commander";
import { atnaMessage, isWarning } from "../audit/atna-message.js";
import type { AuditEntry } from "../audit/audit-entry.js";
import { type SyslogTarget, sendSyslog, syslogFrame } from "../audit/syslog.js";
import { loadEnrolment } from "../enrolment.js";
import { type FilterOptions, filterOf, parseSince, recordReading, requireLog } from "./audit-access.js";
import { LogReading } from "./audit-reading.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface ExportOptions extends FilterOptions {
  readonly home?: string;
  readonly format: "jsonl" | "atna";
  readonly syslog?: Pick<SyslogTarget, "host" | "port">;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export function addAuditExport(audit: Command, surroundings: Surroundings): void {
  const { clock } = surroundings;
  const command = audit
    .command("export")
    .description("entries as JSON lines, or as AuditMessage XML (DICOM PS3.15 A.5, IHE ATNA) to a collector")
    .option("--home <dir>", homeHelp)
    .addOption(new Option("--format <name>", "how entries are written").choices(["jsonl", "atna"]).default("jsonl"))
    .option("--since <time>", "a date, or a time before now such as 12h or 7d", parseSince(clock.now()))
    .option("--action <name>", "an action such as plan.refused, or all of one kind, such as plan")
    .option("--run <id>", "entries about this run")
    .option("--syslog <url>", "send ATNA messages to tls://host:port (RFC 5424 over TLS, RFC 5425)", parseTarget)
    .option("--ca <file>", "PEM of the authority of the collector's certificate")
    .option("--cert <file>", "PEM of the certificate that the collector knows this sender by")
    .option("--key <file>", "PEM of that certificate's key")
    .action(async (options: ExportOptions) => {
      const home = homeOf(options.home, surroundings);
      const directory = requireLog(home);
      const target = targetOf(options);
      const source = options.format === "jsonl" ? undefined : loadEnrolment(home);
      await recordReading(home, surroundings, "audit-export");
      const reading = new LogReading(directory);
      const entries = reading.entries(filterOf(options));
      if (target !== undefined && source !== undefined) {
        const sent = await sendSyslog(target, framesOf(entries, source));
        const to = `${target.host}:${target.port}`;
        outputOf(command, surroundings).result({ sent, to }, () => `sent ${sent} audit messages to ${to}`);
      } else {
        const asAtna = source && ((entry: AuditEntry) => atnaMessage(entry, source));
        writeAll(surroundings, entries, asAtna ?? ((entry) => JSON.stringify(entry)));
      }
      reading.requireWhole();
    });
  example(
    command,
    "consilium-agent audit export --since 30d > audit.jsonl",
    "consilium-agent audit export --format atna --syslog tls://arr.hospital.org:6514 --ca ca.pem --cert me.pem --key me.key",
  );
}

function writeAll({ stdout }: Surroundings, entries: Iterable<AuditEntry>, text: (entry: AuditEntry) => string): void {
  for (const entry of entries) stdout.write(`${text(entry)}\n`);
}

function* framesOf(entries: Iterable<AuditEntry>, source: ReturnType<typeof loadEnrolment>): Generator<Buffer> {
  const processId = String(process.pid);
  for (const entry of entries) {
    const text = atnaMessage(entry, source);
    yield syslogFrame({ at: entry.ts, host: source.siteId, isWarning: isWarning(entry), processId, text });
  }
}

/** A collector is spoken to only when both ends can prove who they are. */
function targetOf({ format, syslog, ca, cert, key }: ExportOptions): SyslogTarget | undefined {
  if (syslog === undefined) return undefined;
  if (format === "atna" && ca !== undefined && cert !== undefined && key !== undefined) {
    return { ...syslog, ca, cert, key };
  }
  throw new ConsiliumError("config-invalid", "--syslog needs --format atna, --ca, --cert and --key", {
    remedy: "give all of them; audit messages do not go over a connection that only one end vouches for",
  });
}

function parseTarget(text: string): Pick<SyslogTarget, "host" | "port"> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "tls:" || url.hostname === "") {
    throw new InvalidArgumentError("It must be like tls://collector.hospital.org:6514.");
  }
  const host = url.hostname.replaceAll(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? defaultPort : Number(url.port) };
}

/** Of syslog over TLS, RFC 5425. */
const defaultPort = 6514;
