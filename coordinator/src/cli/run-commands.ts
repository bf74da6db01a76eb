import type { Command } from "commander";
import type { RunSummary } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";
import { addExport } from "./export-command.js";
import { findRun } from "./find-run.js";
import { addLaunch, addWarmStartReport } from "./launch-command.js";
import { runDetailLines, runTable, statusText } from "./run-lines.js";
import { example, runArgument, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";
import { addWatch } from "./watch-command.js";
import { parseJson } from "./watch-frame.js";

export function addRunCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("run").description("launch runs, follow them and fetch their weights");
  example(group, "consilium run launch run.yaml --watch");
  addLaunch(group, surroundings);
  addWarmStartReport(group, surroundings);
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
