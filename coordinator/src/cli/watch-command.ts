import type { Command } from "commander";
import { findRun } from "./find-run.js";
import { RunEnded } from "./run-ended.js";
import { statusText } from "./run-lines.js";
import { example, runArgument, type Session, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";
import { watchRun } from "./watch.js";

export function addWatch(group: Command, surroundings: Surroundings): void {
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
export async function watchToEnd(session: Session, surroundings: Surroundings, runId: string): Promise<void> {
  const { clock, random, signal } = surroundings;
  const sayOn = () => session.output.note(`the run goes on; 'consilium run watch ${runId}' shows it again`);
  signal.addEventListener("abort", sayOn, { once: true });
  const { summary } = await watchRun({ ...session, runId, clock, random, signal });
  signal.removeEventListener("abort", sayOn);
  if (summary.status === "completed") return;
  if (session.output.json) session.output.note(`run ${summary.name} (${runId}) is ${statusText(summary)}`);
  throw new RunEnded(summary);
}
