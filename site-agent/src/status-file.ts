import { readFileSync } from "node:fs";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";
import { writeFileWhole } from "./durable-file.js";

/** What `consilium-agent status` shows; written by the running agent, read by anyone on the machine. */
export const statusSchema = z.strictObject({
  version: z.literal(1),
  pid: z.number().int(),
  startedAtMs: z.number(),
  updatedAtMs: z.number(),
  agentVersion: z.string(),
  federation: z.string(),
  siteId: z.string(),
  coordinator: z.string(),
  connected: z.boolean(),
  /** Why the coordinator cannot be reached, when it cannot. */
  unreachable: z.string().optional(),
  /** Until when the site's certificate is good, and since when it cannot be renewed, if so. */
  certificate: z
    .strictObject({
      notAfterMs: z.number(),
      failing: z.strictObject({ sinceMs: z.number(), reason: z.string() }).optional(),
    })
    .optional(),
  metrics: z.string().optional(),
  state: z.string(),
  runId: z.string().optional(),
  round: z.number().optional(),
  attempt: z.number().optional(),
  stepsDone: z.number().optional(),
  steps: z.number().optional(),
  /** Clause, error code or cause of the last refusal, failure or departure. */
  because: z.string().optional(),
  /** What the current or last run trains on, and how its step became ready. */
  engine: z
    .strictObject({
      device: z.string(),
      precision: z.string(),
      reason: z.string(),
      cache: z.string(),
      compileMs: z.number(),
    })
    .optional(),
  imagesPerSecond: z.number().optional(),
  loss: z.number().optional(),
  roundsDone: z.number().int(),
});

export type AgentStatus = z.output<typeof statusSchema>;

export function writeStatus(path: string, status: AgentStatus): void {
  writeFileWhole(path, `${JSON.stringify(status)}\n`);
}

/** @throws ConsiliumError "not-found" when no agent has ever run in this home. */
export function readStatus(path: string): AgentStatus {
  try {
    return statusSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ConsiliumError("not-found", `${path}: no agent has left a status here`, {
      remedy: "start it with 'consilium-agent run', or name its folder with --home",
      cause,
    });
  }
}
