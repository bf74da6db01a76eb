import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "@consilium/shared/terminal/format.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import type { TextStream } from "@consilium/shared/terminal/output.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { downloadCheckpoint } from "./export-weights.js";
import { findRun } from "./find-run.js";
import { example, type Session, wholeNumber, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";

interface ExportOptions {
  readonly out: string;
  readonly round?: number;
  /** False with --no-onnx. */
  readonly onnx: boolean;
}

export function addExport(group: Command, surroundings: Surroundings): void {
  const command = withProfile(group.command("export"))
    .description("fetch a run's weights: the checkpoint, and its encoder as safetensors and ONNX, or its clusters")
    .argument("<run>", "id of the run, its beginning, or its name where only one run has it")
    .requiredOption("--out <dir>", "folder to write into, made when absent")
    .option(
      "--round <n>",
      "the checkpoint after this round instead of the newest; 0: before the first",
      wholeNumber({ least: 0, most: 2 ** 31 }),
    )
    .option("--no-onnx", "fetch the checkpoint only")
    .action((text: string, options: ExportOptions) =>
      withCoordinator(command, surroundings, (session) => exportRun(session, surroundings, { text, ...options })),
    );
  example(
    command,
    "consilium run export derm-simclr --out weights",
    "consilium run export derm-simclr --round 10 --out weights",
  );
}

async function exportRun(
  { admin, output }: Session,
  { signal, stderr, findEncoderExporter }: Surroundings,
  { text, out, round, onnx }: ExportOptions & { readonly text: string },
): Promise<void> {
  const exportEncoder = onnx ? findEncoderExporter() : undefined;
  const detail = await admin.getRun((await findRun(admin, text)).runId);
  const onBytes = byteCounter(stderr);
  const checkpoint = await downloadCheckpoint({ admin, detail, round, outDirectory: out, signal, onBytes });
  await exportEncoder?.({ checkpoint: checkpoint.path, outDirectory: out, signal });
  const of = (names: readonly string[]) => writtenFiles(out, onnx ? names : []);
  const ofClusters = detail.summary.method === "clusters";
  const encoder = ofClusters ? [] : of(["encoder.safetensors", "encoder.onnx"]);
  const clusters = ofClusters ? of(["clusters.json"]) : [];
  const document = {
    ...{ runId: detail.summary.runId, ...checkpoint, encoder },
    ...(ofClusters ? { clusters } : {}),
  };
  output.result(document, () =>
    fieldLines([
      ["run", `${detail.summary.runId} (${detail.summary.name})`],
      ["round", checkpoint.round === 0 ? "0: the weights it began with" : String(checkpoint.round)],
      ["checkpoint", `${checkpoint.path} (${formatBytes(checkpoint.bytes)})`],
      ["digest", checkpoint.digest],
      ...encoder.map((path) => ["encoder", path] as const),
      ...clusters.map((path) => ["clusters", path] as const),
    ]),
  );
}

function writtenFiles(directory: string, names: readonly string[]): string[] {
  return names.map((name) => join(directory, name)).filter((path) => existsSync(path));
}

const repaintBytes = 2 ** 20;

/** Shows how much has come, on a terminal only. */
function byteCounter(stream: TextStream): (bytes: number) => void {
  const live = new LiveBlock(stream);
  let shown = 0;
  return (bytes) => {
    if (!live.inPlace || bytes - shown < repaintBytes) return;
    shown = bytes;
    live.show({ lines: [`fetching the checkpoint: ${formatBytes(bytes)}`], summary: [] });
  };
}
