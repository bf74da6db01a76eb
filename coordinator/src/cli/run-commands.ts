import { readFile } from "node:fs/promises";
import { backoffDelayMs, sleep } from "@consilium/shared/abort.js";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Command } from "commander";
import type { RunSummary } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";
import { addExport } from "./export-command.js";
import { findRun } from "./find-run.js";
import { RunEnded } from "./run-ended.js";
import { runDetailLines, runTable, statusText } from "./run-lines.js";
import { example, type Session, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";
import { watchRun } from "./watch.js";
import { parseJson } from "./watch-frame.js";

export function addRunCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("run").description("launch runs, follow them and fetch their weights");
  example(group, "consilium run launch run.yaml --watch");
  addLaunch(group, surroundings);
  addList(group, surroundings);
  addShow(group, surroundings);
  addWatch(group, surroundings);
  addChange(group, surroundings, {
    name: "stop",
    description: "stop a run; its checkpoints stay, and it can be resumed",
    change: (admin, runId) => admin.stopRun(runId),
  });
  addChange(group, surroundings, {
    name: "resume",
    description: "let a paused, stopped or failed run go on from its newest checkpoint",
    change: (admin, runId) => admin.resumeRun(runId),
  });
  addExport(group, surroundings);
}

export const runArgument = ["<run>", "id of the run, its beginning, or its name where only one run has it"] as const;

function addLaunch(group: Command, surroundings: Surroundings): void {
  const launch = withProfile(group.command("launch"))
    .description("check a run file, line by line, and launch the run")
    .argument("<run.yaml>", "the run file")
    .option("--watch", "stay and show its progress")
    .action((path: string, { watch }: { watch?: true }) =>
      launchFile(launch, surroundings, { path, watch: watch === true }),
    );
  example(launch, "consilium run launch run.yaml --watch");
}

/** The file is checked before anything is connected to, so that a wrong line is said even without a network. */
async function launchFile(
  command: Command,
  surroundings: Surroundings,
  { path, watch }: { path: string; watch: boolean },
): Promise<void> {
  loadYaml(path, runConfigSchema);
  const configYaml = await readFile(path, "utf8");
  await withCoordinator(command, surroundings, async (session) => {
    const run = await launchOnce(session.admin, { requestId: surroundings.newRequestId(), configYaml }, surroundings);
    session.output.result(run, () => [
      `launched run ${run.runId} (${run.name}): ${run.method} on ${run.model}, ${run.roundsTotal} ${run.roundsTotal === 1 ? "round" : "rounds"}`,
      ...(watch ? [] : [`follow it with: consilium run watch ${run.runId}`]),
    ]);
    if (watch) await watchToEnd(session, surroundings, run.runId);
  });
}

const launchTries = 3;

/** Repeats a request whose answer was lost: under the same id it is the same run. */
async function launchOnce(
  admin: Admin,
  request: { readonly requestId: string; readonly configYaml: string },
  { random, signal }: Pick<Surroundings, "random" | "signal">,
): Promise<RunSummary> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await admin.launchRun(request);
    } catch (thrown) {
      const lost = thrown instanceof ConsiliumError && ["unreachable", "deadline"].includes(thrown.code);
      if (!lost || attempt + 1 === launchTries) throw thrown;
      await sleep(backoffDelayMs(attempt, { initialMs: 400, maxMs: 2000, random }), signal);
    }
  }
}

function addList(group: Command, surroundings: Surroundings): void {
  const list = withProfile(group.command("list"))
    .description("show every run with its status, rounds and loss")
    .action(() =>
      withCoordinator(list, surroundings, async ({ admin, output }) => {
        const runs = await admin.listRuns();
        output.result({ runs }, () => runTable(runs, surroundings.clock.now()));
      }),
    );
  example(list, "consilium run list --json | jq -r '.runs[] | select(.status == \"running\") | .runId'");
}

function addShow(group: Command, surroundings: Surroundings): void {
  const show = withProfile(group.command("show"))
    .description("show one run with its committed rounds")
    .argument(...runArgument)
    .action((text: string) =>
      withCoordinator(show, surroundings, async ({ admin, output }) => {
        const { runId } = await findRun(admin, text);
        const { configJson, ...detail } = await admin.getRun(runId);
        const document = { ...detail, current: detail.current ?? null, config: parseJson(configJson) ?? null };
        output.result(document, () => runDetailLines({ ...detail, configJson }));
      }),
    );
  example(show, "consilium run show derm-simclr");
}

function addWatch(group: Command, surroundings: Surroundings): void {
  const watch = withProfile(group.command("watch"))
    .description("show a run's progress until it ends: 0 when completed, 6 when failed, stopped or paused")
    .argument(...runArgument)
    .action((text: string) =>
      withCoordinator(watch, surroundings, async (session) => {
        const { runId } = await findRun(session.admin, text);
        await watchToEnd(session, surroundings, runId);
      }),
    );
  example(watch, "consilium run watch derm-simclr", "consilium run watch derm-simclr --json > progress.jsonl");
}

/** @throws RunEnded when the run ended otherwise than completed. */
async function watchToEnd(session: Session, surroundings: Surroundings, runId: string): Promise<void> {
  const { clock, random, signal } = surroundings;
  const sayOn = () => session.output.note(`the run goes on; 'consilium run watch ${runId}' shows it again`);
  signal.addEventListener("abort", sayOn, { once: true });
  const { summary } = await watchRun({ ...session, runId, clock, random, signal });
  signal.removeEventListener("abort", sayOn);
  if (summary.status === "completed") return;
  if (session.output.json) session.output.note(`run ${summary.name} (${runId}) is ${statusText(summary)}`);
  throw new RunEnded(summary);
}

interface Change {
  readonly name: string;
  readonly description: string;
  readonly change: (admin: Admin, runId: string) => Promise<RunSummary>;
}

function addChange(group: Command, surroundings: Surroundings, { name, description, change }: Change): void {
  const command = withProfile(group.command(name))
    .description(description)
    .argument(...runArgument)
    .action((text: string) =>
      withCoordinator(command, surroundings, async ({ admin, output }) => {
        const run = await change(admin, (await findRun(admin, text)).runId);
        output.result(run, () => `run ${run.runId} (${run.name}) is ${statusText(run)}`);
      }),
    );
  example(command, `consilium run ${name} derm-simclr`);
}
