import { readFile } from "node:fs/promises";
import { backoffDelayMs, sleep } from "@consilium/shared/abort.js";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { reportLines } from "@consilium/shared/params/warm-start/report-lines.js";
import { predictionLines, predictPrivacy, requireHopefulPrivacy } from "@consilium/shared/privacy/prediction.js";
import type { Command } from "commander";
import type { RunSummary } from "../round/progress.js";
import type { Admin, LaunchRequest } from "../rpc/admin-types.js";
import { example, outputOf, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";
import { type FittingWeights, openWarmStart } from "./warm-start.js";
import { watchToEnd } from "./watch-command.js";

interface LaunchOptions {
  readonly watch?: true;
  readonly warmStart?: string;
  readonly dryRun?: true;
}

const weightsHelp = "a public encoder's .safetensors, .pth or .pt, the latter two without running them";

export function addLaunch(group: Command, surroundings: Surroundings): void {
  const launch = withProfile(group.command("launch"))
    .description("check a run file, line by line, and launch the run")
    .argument("<run.yaml>", "the run file")
    .option("--watch", "stay and show its progress")
    .option("--dry-run", "only check the file and say what its privacy would cost; needs no coordinator")
    .option("--warm-start <file>", `begin with ${weightsHelp}`)
    .action((path: string, options: LaunchOptions) => launchFile(launch, surroundings, { path, ...options }));
  example(
    launch,
    "consilium run launch run.yaml --watch",
    "consilium run launch run.yaml --dry-run",
    "consilium run launch run.yaml --warm-start dino_vits16.pth",
  );
}

/** Shows what a warm start would take from a file; needs no coordinator. */
export function addWarmStartReport(group: Command, surroundings: Surroundings): void {
  const report = group
    .command("warm-start-report")
    .description("show which tensors of a file a run would begin with, without launching it")
    .argument("<run.yaml>", "the run file")
    .argument("<file>", `read ${weightsHelp}`)
    .action(async (path: string, file: string) => {
      const weights = await openWarmStart(file, loadYaml(path, runConfigSchema));
      await weights.close();
      outputOf(report, surroundings).result(weights.report, () => reportLines(weights.report));
    });
  example(report, "consilium run warm-start-report run.yaml dino_vits16.pth");
}

interface LaunchFile extends Omit<LaunchOptions, "watch" | "dryRun"> {
  readonly path: string;
  readonly watch?: boolean;
  readonly dryRun?: boolean;
}

/** Files are checked before anything is connected to, so that what is wrong is said even without a network. */
async function launchFile(
  command: Command,
  surroundings: Surroundings,
  { path, watch = false, warmStart, dryRun = false }: LaunchFile,
): Promise<void> {
  const config = loadYaml(path, runConfigSchema);
  const privacy = predictPrivacy(config);
  const output = outputOf(command, surroundings);
  for (const line of privacy === undefined ? [] : predictionLines(privacy)) output.line(line);
  requireHopefulPrivacy(config);
  if (dryRun) {
    const document = { name: config.name, valid: true, ...(privacy === undefined ? {} : { privacy }) };
    output.result(document, () => [`${path}: a run that could be launched`]);
    return;
  }
  const configYaml = await readFile(path, "utf8");
  const weights = warmStart === undefined ? undefined : await openWarmStart(warmStart, config);
  try {
    await withCoordinator(command, surroundings, async (session) => {
      for (const line of weights === undefined ? [] : reportLines(weights.report)) session.output.line(line);
      const request = { requestId: surroundings.newRequestId(), configYaml };
      const run = await launchOnce(await sender(session.admin, { request, weights }, surroundings), surroundings);
      const document = weights === undefined ? run : { ...run, warmStart: weights.report };
      session.output.result(document, () => [
        `launched run ${run.runId} (${run.name}): ${run.method} on ${run.model}, ${run.roundsTotal} ${run.roundsTotal === 1 ? "round" : "rounds"}`,
        ...(watch ? [] : [`follow it with: consilium run watch ${run.runId}`]),
      ]);
      if (watch) await watchToEnd(session, surroundings, run.runId);
    });
  } finally {
    await weights?.close();
  }
}

interface Launch {
  readonly request: LaunchRequest;
  readonly weights: FittingWeights | undefined;
}

/** What can be repeated when an answer is lost; weights are then read and sent anew. */
async function sender(
  admin: Admin,
  { request, weights }: Launch,
  { signal }: Pick<Surroundings, "signal">,
): Promise<() => Promise<RunSummary>> {
  if (weights === undefined) return () => admin.launchRun(request);
  const warmStart = await weights.prepare();
  return () => admin.launchRunFrom({ ...request, ...warmStart() }, signal);
}

const launchTries = 3;

/** Repeats a request whose answer was lost: under the same id it is the same run. */
async function launchOnce(
  send: () => Promise<RunSummary>,
  { random, signal }: Pick<Surroundings, "random" | "signal">,
): Promise<RunSummary> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await send();
    } catch (thrown) {
      const lost = thrown instanceof ConsiliumError && ["unreachable", "deadline"].includes(thrown.code);
      if (!lost || attempt + 1 === launchTries) throw thrown;
      await sleep(backoffDelayMs(attempt, { initialMs: 400, maxMs: 2000, random }), signal);
    }
  }
}
