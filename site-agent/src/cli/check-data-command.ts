import { ConsiliumError } from "@consilium/shared/errors.js";
import { formatBytes, percentBar } from "@consilium/shared/terminal/format.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import { exitCodes, type TextStream } from "@consilium/shared/terminal/output.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { dataSettings, folderSettings } from "../config.js";
import type { Counts, DataReport } from "../data/data-report.js";
import type { DataSettings } from "../data/data-settings.js";
import { CommandFailed } from "./command-failed.js";
import { joinedConfig } from "./site-config.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addCheckData(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("check-data")
    .description("read every image as training would, without joining; exits with 6 when the folder cannot be used")
    .option("--home <dir>", homeHelp)
    .option("--data <dir>", "check this folder instead of the one in site.yaml")
    .action(async (options: { home?: string; data?: string }) => {
      const settings = settingsOf(options, surroundings);
      const output = outputOf(command, surroundings);
      const onProgress = progressOn(surroundings.stderr);
      const report = await checked(() => surroundings.checkData({ settings, onProgress, signal: surroundings.signal }));
      const problem = problemOf(report, settings);
      output.result({ usable: problem === undefined, ...report }, () => reportLines(report));
      if (problem !== undefined) throw new CommandFailed(problem, exitCodes.refused);
    });
  example(command, "consilium-agent check-data", "consilium-agent check-data --data /srv/images --json");
}

function settingsOf(options: { home?: string; data?: string }, surroundings: Surroundings): DataSettings {
  const home = homeOf(options.home, surroundings);
  if (options.data === undefined) return dataSettings(home, joinedConfig(home));
  return folderSettings(options.data);
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
  { images, unreadable }: DataReport,
  { maxUnreadableShare }: DataSettings,
): ConsiliumError | undefined {
  const all = images + unreadable.length;
  if (images > 0 && unreadable.length <= all * maxUnreadableShare) return undefined;
  return new ConsiliumError("not-enough-data", `${unreadable.length} of ${all} images cannot be read`, {
    remedy: "replace or remove the files named above, or raise data.maxUnreadableShare in site.yaml",
  });
}

const mostNamed = 50;

function reportLines(report: DataReport): string[] {
  return [
    ...fieldLines([
      ["folder", report.path],
      ["images", `${report.images} readable (${formatBytes(report.bytes)}), ${report.unreadable.length} unreadable`],
      ["formats", counts(report.formats)],
      ["shorter side", `${counts(report.shortSides)} pixels`],
      ["labels", counts(report.labels)],
      ["splits", counts(report.splits)],
      ["equal files", `${report.duplicates.length} groups`],
      ["left out", `${report.imagesNotChosen} images, ${report.otherFiles} other files`],
      ["an epoch", `${report.stepsPerEpoch} steps of ${report.batchSize} images`],
    ]),
    ...unreadableLines(report),
  ];
}

function unreadableLines({ unreadable }: DataReport): string[] {
  if (unreadable.length === 0) return [];
  const named = unreadable.slice(0, mostNamed).map(({ id, reason }) => [id, reason]);
  const rest = unreadable.length - named.length;
  return [
    "",
    ...tableLines([{ title: "unreadable file" }, { title: "reason" }], named),
    ...(rest > 0 ? [`… and ${rest} more; --json names all`] : []),
  ];
}

function counts(of: Counts): string {
  const entries = Object.entries(of);
  return entries.length === 0 ? "–" : entries.map(([name, count]) => `${name}: ${count}`).join(", ");
}

function progressOn(stream: TextStream): (done: number, total: number) => void {
  const live = new LiveBlock(stream);
  return (done, total) => {
    if (!live.inPlace || (done % 16 !== 0 && done !== total)) return;
    live.show({ lines: [`${percentBar(done / total)}  ${done} of ${total} images`], summary: [] });
  };
}
