import { formatBytes, formatInstant } from "@consilium/shared/terminal/format.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { type Departure, departuresIn, type RunEgress, sumPerRun } from "../audit/egress-sums.js";
import { type FilterOptions, filterOf, parseSince, recordReading, requireLog } from "./audit-access.js";
import { LogReading } from "./audit-reading.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface EgressOptions extends FilterOptions {
  readonly home?: string;
}

export function addEgress(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("egress")
    .description("what left this site: when, how many bytes, for which run; from the audit log")
    .option("--home <dir>", homeHelp)
    .option("--since <time>", "a date, or a time before now such as 12h or 7d", parseSince(surroundings.clock.now()))
    .option("--run <id>", "only this run, message by message")
    .action(async (options: EgressOptions) => {
      const home = homeOf(options.home, surroundings);
      const directory = requireLog(home);
      await recordReading(home, surroundings, "egress");
      const reading = new LogReading(directory);
      const departures = departuresIn(reading.entries(filterOf(options)));
      const runs = sumPerRun(departures);
      const detailed = options.run !== undefined;
      const document = { runs, ...(detailed ? { departures } : {}) };
      outputOf(command, surroundings).result(document, () => [
        ...(detailed && departures.length > 0 ? [...departureTable(departures), ""] : []),
        ...runTable(runs, options.run),
      ]);
      reading.requireWhole();
    });
  example(command, "consilium-agent egress", "consilium-agent egress --run 01jz… --json");
}

const right = { align: "right" } as const;

function runTable(runs: readonly RunEgress[], run: string | undefined): string[] {
  if (runs.length === 0) return [run === undefined ? "nothing left" : `nothing left for a run of the id ${run}`];
  const columns = [
    { title: "run" },
    { title: "updates", ...right },
    { title: "keys and shares", ...right },
    { title: "reports and requests", ...right },
    { title: "all", ...right },
    { title: "first" },
    { title: "last" },
  ];
  return tableLines(columns, runs.map(runRow));
}

const masking = ["advertise", "share", "confirm", "unmask"] as const;

function runRow({ run, kinds, bytes, firstAt, lastAt }: RunEgress): string[] {
  const bytesOf = (names: readonly (keyof RunEgress["kinds"])[]) =>
    names.reduce((total, name) => total + (kinds[name]?.bytes ?? 0), 0);
  return [
    run ?? "(no run)",
    formatBytes(bytesOf(["upload"])),
    formatBytes(bytesOf(masking)),
    formatBytes(bytes - bytesOf(["upload", ...masking])),
    formatBytes(bytes),
    instant(firstAt),
    instant(lastAt),
  ];
}

function departureTable(departures: readonly Departure[]): string[] {
  const columns = [
    { title: "time" },
    { title: "round", ...right },
    { title: "attempt", ...right },
    { title: "what" },
    { title: "messages", ...right },
    { title: "bytes", ...right },
  ];
  return tableLines(columns, departures.map(departureRow));
}

const uploadText = { whole: "upload", cut: "upload, cut", unknown: "upload, at most" } as const;

function departureRow({ at, round, attempt, kind, upload, messages, bytes }: Departure): string[] {
  const what = upload === undefined ? kind : uploadText[upload];
  return [instant(at), String(round ?? "–"), String(attempt ?? "–"), what, String(messages), String(bytes)];
}

const instant = (text: string): string => formatInstant(Date.parse(text));
