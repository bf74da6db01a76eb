import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runMethodNames } from "@consilium/shared/config/method-config.js";
import { resnetNames, vitNames } from "@consilium/shared/config/model-config.js";
import { modalitySchema } from "@consilium/shared/config/run-config.js";
import { lanePermissions } from "@consilium/shared/secagg/lanes.js";
import { z } from "zod";

/** `policy.yaml`: what the hospital allows. No default allows anything, so what is allowed is always written down. */

const limit = z.number().int().positive();
const architectures = z.enum([...vitNames, ...resnetNames]);

export const policySchema = z.strictObject({
  version: z.literal(1),
  /** The only federation whose plans are followed. */
  federation: z.string().min(1),
  secagg: z.strictObject({
    /** Fewest hospitals in a sum that this site's update may enter. */
    minCohort: z.number().int().min(2),
    /** The masking must withstand at least this many hospitals that collude with the coordinator. */
    maxColluders: z.number().int().min(0),
    /** Attempts at one round to which this site uploads its masked update. */
    maxAttempts: limit.default(3),
  }),
  jobs: z.strictObject({
    methods: z.array(z.enum(runMethodNames)),
    architectures: z.array(architectures),
    modalities: z.array(modalitySchema),
    maxRounds: limit,
    maxStepsPerRound: limit,
    maxBatchSize: limit,
    maxParameters: limit,
    /** A run is refused while the site has fewer images than this. */
    minLocalSamples: limit,
    /** Whether a person of this site must grant each run before it may begin. */
    approval: z.enum(["automatic", "manual"]).default("automatic"),
  }),
  egress: z.strictObject({
    /** Masked values that may follow the parameters; seen by the coordinator only as sums over the cohort. */
    lanes: z.array(z.enum(lanePermissions)),
    /** Whether statistics of this site's images may travel, masked, which runs of clusters add up. */
    statistics: z.enum(["deny", "allow"]).default("deny"),
    /** Cells of clusters in which this site has fewer images are left out of what it sends. */
    minCell: limit.default(10),
  }),
});

export type Policy = z.output<typeof policySchema>;

/** @throws ConsiliumError "config-missing" or "config-invalid"; the agent then refuses every run. */
export function loadPolicy(path: string): Policy {
  return loadYaml(path, policySchema);
}
