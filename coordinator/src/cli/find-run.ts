import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RunSummary } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";

/**
 * The run that a person means: by id, by a name that one run has, or by the beginning of one run's id.
 * @throws ConsiliumError "not-found" when there is none, "config-invalid" when there are several.
 */
export async function findRun(admin: Pick<Admin, "listRuns">, text: string): Promise<RunSummary> {
  const runs = await admin.listRuns();
  const exact = runs.find((run) => run.runId === text);
  if (exact !== undefined) return exact;
  const named = runs.filter((run) => run.name === text);
  const matches = named.length > 0 ? named : runs.filter((run) => text !== "" && run.runId.startsWith(text));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) {
    throw new ConsiliumError("not-found", `there is no run '${text}'`, {
      remedy: "'consilium run list' shows every run",
    });
  }
  const ids = matches.map((run) => `${run.runId} (${run.status})`).join(", ");
  throw new ConsiliumError("config-invalid", `'${text}' may mean ${matches.length} runs: ${ids}`, {
    remedy: "give the id of the one you mean",
  });
}
