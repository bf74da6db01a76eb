import { basename } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { segmentPath } from "../audit/segments.js";
import type { BrokenLine, Verification } from "../audit/verification.js";
import { verifyLog } from "../audit/verify-log.js";
import { recordReading, requireLog, requireSegments } from "./audit-access.js";
import { CommandFailed } from "./command-failed.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface VerifyOptions {
  readonly home?: string;
  readonly log?: string;
  readonly publicKey?: Uint8Array;
}

export function addAuditVerify(audit: Command, surroundings: Surroundings): void {
  const command = audit
    .command("verify")
    .description("recompute the whole log: chain, signatures and files; exits with 6 when it was changed")
    .option("--home <dir>", homeHelp)
    .option("--log <dir>", "a copy of the folder 'audit', instead of the one of the home")
    .option("--public-key <hex>", "the site's identity key, 64 hex digits (default: the home's)", parseKey)
    .action(async (options: VerifyOptions) => {
      const home = homeOf(options.home, surroundings);
      const publicKey = options.publicKey ?? (await IdentityKey.load(home.identity.identityKey)).publicKey;
      const { log } = options;
      const directory = log === undefined ? requireLog(home) : requireSegments(log, "name the folder with --log");
      const report = verifyLog(directory, publicKey);
      if (options.log === undefined) await recordReading(home, surroundings, "audit-verify");
      outputOf(command, surroundings).result(report, () => verificationLines(report));
      if (report.broken !== undefined) throw new CommandFailed(tampered(report.broken, directory), exitCodes.refused);
    });
  example(
    command,
    "consilium-agent audit verify",
    "consilium-agent audit verify --log /mnt/copy/audit --public-key 3b6a27bc…",
  );
}

function verificationLines(report: Verification): string[] {
  return fieldLines([
    ["audit log", report.intact ? "intact" : "NOT intact"],
    ["entries", `${report.entries} in ${report.segments} ${report.segments === 1 ? "file" : "files"}`],
    ["from, to", `${report.firstAt ?? "–"}, ${report.lastAt ?? "–"}`],
    ["signatures", `${report.checkpoints}; ${report.unsigned} entries after the last`],
    ["witnessed", `${report.witnessed} checkpoints came back from the coordinator`],
    ["after crashes", `${report.recovered} torn lines kept aside`],
    ["newest hash", report.head ?? "–"],
  ]);
}

const looks = {
  changed: "looks like a changed line",
  removed: "looks like removed lines",
  inserted: "looks like inserted lines",
  truncated: "looks like an end that was cut off",
  unsigned: "is not what this site's key signed: the log may have been rewritten, or the key is another one",
} as const;

function tampered({ kind, segment, line, reason }: BrokenLine, directory: string): ConsiliumError {
  const file = basename(segmentPath(directory, segment));
  return new ConsiliumError("digest-mismatch", `${file}:${line}: ${looks[kind]} (${reason})`, {
    remedy: `keep a copy of ${directory} as it is, and ask the coordinator's operator what it witnessed`,
  });
}

function parseKey(text: string): Uint8Array {
  const [, digits] = /^(?:ed25519:)?([0-9a-fA-F]{64})$/.exec(text) ?? [];
  if (digits !== undefined) return new Uint8Array(Buffer.from(digits, "hex"));
  throw new InvalidArgumentError("It must be 64 hex digits, as 'consilium-agent identity' prints them.");
}
