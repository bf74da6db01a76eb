import { randomBytes } from "node:crypto";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { percentBar } from "@consilium/shared/terminal/format.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import { exitCodes, type TextStream } from "@consilium/shared/terminal/output.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { dataSettings, folderSettings } from "../config.js";
import type { CheckOptions } from "../data/check-data.js";
import type { DataReport } from "../data/data-report.js";
import type { DataSettings } from "../data/data-settings.js";
import { nameHash } from "../data/name-hash.js";
import { CommandFailed } from "./command-failed.js";
import { pageFile } from "./page-file.js";
import { reportFields, sumOf } from "./report-fields.js";
import { ReportPage } from "./report-page.js";
import { joinedConfig } from "./site-config.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface CheckDataOptions {
  readonly home?: string;
  readonly data?: string;
  readonly html?: string;
  readonly names?: boolean;
}

export function addCheckData(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("check-data")
    .description("read every image as training would, without joining; exits with 6 when the images cannot be used")
    .option("--home <dir>", homeHelp)
    .option("--data <dir>", "check this folder instead of what site.yaml names")
    .option("--html <file>", "write a page with thumbnails, to be looked at here: it shows patients' images")
    .option("--names", "with --json: name files, not only hashes of their names")
    .action(async (options: CheckDataOptions) => {
      const home = homeOf(options.home, surroundings);
      const settings =
        options.data === undefined ? dataSettings(home, joinedConfig(home)) : folderSettings(options.data);
      const output = outputOf(command, surroundings);
      const page = options.html === undefined ? undefined : new ReportPage();
      const file = options.html === undefined ? undefined : pageFile(options.html);
      const report = await checked(() =>
        surroundings.checkData({
          settings,
          onProgress: progressOn(surroundings.stderr),
          signal: surroundings.signal,
          ...(options.data === undefined ? { indexPath: home.dataIndex } : {}),
          ...(page === undefined ? {} : { onSample: (id, image) => page.addSample(id, image) }),
        }),
      );
      if (page !== undefined) file?.write(page.render(report));
      const problem = problemOf(report, settings);
      const exported = options.names === true ? report : withoutNames(report, settings.nameKey);
      output.result({ usable: problem === undefined, ...exported }, () => reportLines(report));
      if (problem !== undefined) throw new CommandFailed(problem, exitCodes.refused);
    });
  example(
    command,
    "consilium-agent check-data --html check.html",
    "consilium-agent check-data --data /srv/images --json",
  );
}

/** What may be handed on: names of files often hold those of patients. The hashes are the same in every report of a site. */
function withoutNames({ path: _path, ...report }: DataReport, nameKey: string | undefined): Omit<DataReport, "path"> {
  // A folder that belongs to no site has no secret of its own.
  const hash = nameHash(nameKey ?? randomBytes(32));
  return {
    ...report,
    unreadable: report.unreadable.map(({ id, reason }) => ({ id: hash(id), reason })),
    duplicates: report.duplicates.map((ids) => ids.map(hash)),
    nearDuplicates: report.nearDuplicates.map((ids) => ids.map(hash)),
  };
}

/** A folder that cannot be read or holds nothing is unusable; that is this command's answer, not its failure. */
async function checked(check: () => Promise<DataReport>): Promise<DataReport> {
  try {
    return await check();
  } catch (error) {
    const unusable = error instanceof ConsiliumError && ["not-enough-data", "input-unreadable"].includes(error.code);
    throw unusable ? new CommandFailed(error, exitCodes.refused) : error;
  }
}

function problemOf(
  { images, unreadableByReason }: DataReport,
  { maxUnreadableShare }: DataSettings,
): ConsiliumError | undefined {
  const unreadable = sumOf(unreadableByReason);
  const all = images + unreadable;
  if (images > 0 && unreadable <= all * maxUnreadableShare) return undefined;
  return new ConsiliumError("not-enough-data", `${unreadable} of ${all} images cannot be read`, {
    remedy: "replace or remove the files named above, or raise data.maxUnreadableShare in site.yaml",
  });
}

const mostNamed = 50;

function reportLines(report: DataReport): string[] {
  return [...fieldLines(reportFields(report)), ...unreadableLines(report)];
}

function unreadableLines({ unreadable }: DataReport): string[] {
  if (unreadable.length === 0) return [];
  const named = unreadable.slice(0, mostNamed).map(({ id, reason }) => [id, reason]);
  const rest = unreadable.length - named.length;
  return [
    "",
    ...tableLines([{ title: "unreadable file" }, { title: "reason" }], named),
    ...(rest > 0 ? [`… and ${rest} more; --json --names names all`] : []),
  ];
}

function progressOn(stream: TextStream): NonNullable<CheckOptions["onProgress"]> {
  const live = new LiveBlock(stream);
  return (phase, done, total) => {
    if (!live.inPlace || (done % 16 !== 0 && done !== total)) return;
    const line =
      total === undefined ? `${done} files listed` : `${percentBar(done / total)}  ${done} of ${total} images`;
    live.show({ lines: [phase === "listing" ? `${done} files listed` : line], summary: [] });
  };
}
