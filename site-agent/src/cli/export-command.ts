import { ConsiliumError } from "@consilium/shared/errors.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { fileDigest } from "../chain/hashing.js";
import { recordCommand } from "./audit-access.js";
import { example, homeOf, outputOf, type Surroundings } from "./surroundings.js";

export function addExport(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("export")
    .description(
      "write the encoder of a run's checkpoint as encoder.safetensors and encoder.onnx, or its cells as clusters.json",
    )
    .requiredOption("--checkpoint <file>", "checkpoint as 'consilium run export' writes it")
    .requiredOption("--out <dir>", "folder to write into, made when absent")
    .option("--batch-size <n>", "images per call of the ONNX model", positiveNumber, 1)
    .action(async (options: { checkpoint: string; out: string; batchSize: number }) => {
      const { checkpoint, out: outDirectory, batchSize } = options;
      await recordExport(checkpoint, surroundings);
      const report = await surroundings
        .exportCheckpoint({ checkpoint, outDirectory, batchSize })
        .catch((thrown: unknown) => cannotWrite(outDirectory, thrown));
      outputOf(command, surroundings).result(report, () =>
        fieldLines(
          "clusters" in report
            ? [["clusters", `${report.clusters} (${report.cells} cells)`]]
            : [
                ["encoder", `${report.architecture}, pretrained with ${report.method}`],
                ["safetensors", report.safetensors],
                ["onnx", report.onnx],
              ],
        ),
      );
    });
  example(command, "consilium-agent export --checkpoint checkpoint.safetensors --out weights");
}

/** Weights that are about to be handed on are in the audit log of the user's site, if there is one. */
async function recordExport(checkpoint: string, surroundings: Surroundings): Promise<void> {
  const digest = await fileDigest(checkpoint).catch(() => undefined);
  if (digest === undefined) return;
  const event = { action: "model.exported", object: { checkpoint: digest } } as const;
  await recordCommand(homeOf(undefined, surroundings), surroundings, event);
}

/** What the file system refuses is about the folder: reading the checkpoint has errors of its own. */
function cannotWrite(path: string, thrown: unknown): never {
  if (!(thrown instanceof Error) || !("syscall" in thrown)) throw thrown;
  throw new ConsiliumError("config-invalid", `${path}: cannot be written (${thrown.message})`, {
    remedy: "name a folder that you may write into with --out",
    cause: thrown,
  });
}

function positiveNumber(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 99999.");
}
