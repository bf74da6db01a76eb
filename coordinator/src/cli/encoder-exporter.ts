import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";

/** Writes encoder.safetensors and encoder.onnx beside a checkpoint. */
export type ExportEncoder = (request: {
  readonly checkpoint: string;
  readonly outDirectory: string;
  readonly signal: AbortSignal;
}) => Promise<void>;

const agentPackage = "@consilium/site-agent";

/**
 * The exporter of the site agent, which holds the model and the engine; it runs as a process of its own.
 * @param resolve finds a package's file as a URL, as `import.meta.resolve` does
 * @throws ConsiliumError "config-missing" when the agent is not installed beside this command
 */
export function findEncoderExporter(resolve: (specifier: string) => string): ExportEncoder {
  const command = agentCommand(resolve);
  return ({ checkpoint, outDirectory, signal }) =>
    runToEnd(command, ["export", "--checkpoint", checkpoint, "--out", outDirectory], signal);
}

function agentCommand(resolve: (specifier: string) => string): string {
  try {
    const manifestPath = fileURLToPath(resolve(`${agentPackage}/package.json`));
    const manifest: unknown = JSON.parse(readFileSync(manifestPath, "utf8"));
    return join(dirname(manifestPath), binOf(manifest));
  } catch (cause) {
    throw new ConsiliumError("config-missing", `${agentPackage}, which writes the encoder, is not installed here`, {
      remedy: `install ${agentPackage} beside this command, or export the checkpoint alone with --no-onnx`,
      cause,
    });
  }
}

function binOf(manifest: unknown): string {
  if (typeof manifest === "object" && manifest !== null && "bin" in manifest) {
    const { bin } = manifest;
    if (typeof bin === "object" && bin !== null && "consilium-agent" in bin) return String(bin["consilium-agent"]);
  }
  throw new Error("package.json names no consilium-agent command");
}

/** Of the agent's words only its errors are shown: the result is said by this command. */
function runToEnd(command: string, parameters: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...parameters], { stdio: ["ignore", "ignore", 2], signal });
    child.once("error", (cause) => reject(signal.aborted ? new AbortedError() : exportFailed(cause.message, cause)));
    child.once("exit", (code, killedBy) => {
      if (code === 0) resolve();
      else reject(signal.aborted ? new AbortedError() : exportFailed(`exit ${code ?? killedBy}`));
    });
  });
}

function exportFailed(reason: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("internal", `the encoder could not be exported (${reason})`, {
    remedy: "see the lines above; the checkpoint itself is complete",
    cause,
  });
}
