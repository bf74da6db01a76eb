import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runMethodNames } from "@consilium/shared/config/method-config.js";
import { resnetNames, vitNames } from "@consilium/shared/config/model-config.js";
import { modalitySchema, siteIdSchema } from "@consilium/shared/config/run-config.js";
import { publicKeyText } from "@consilium/shared/identity/public-key-text.js";
import { lanePermissions } from "@consilium/shared/secagg/lanes.js";
import { z } from "zod";

/** `policy.yaml`: what the hospital allows. No default allows anything, so what is allowed is always written down. */

const limit = z.number().int().positive();
const identityUri = z
  .string()
  .regex(
    /^fed:\/\/[a-z0-9-]{1,63}\/(researcher|operator)\/[a-z0-9-]{1,63}$/,
    "must be such as fed://demo/researcher/r1",
  );
const architectures = z.enum([...vitNames, ...resnetNames]);

/** Who decides who is a hospital: keys that people hold offline, pinned here and handed over by another way than the coordinator. */
const governance = z
  .strictObject(
    {
      /** None: nobody is known to be a hospital, and no plan is followed. */
      keys: z.array(publicKeyText),
      /** How many of them must have signed a roster. */
      threshold: limit,
      /** Whether a person of this site must say yes to a roster with new sites, or with lower floors. */
      additions: z.enum(["approve", "automatic"]).default("approve"),
    },
    {
      error: ({ input }) =>
        input === undefined
          ? "is missing; write governance: { keys: [ed25519:…], threshold: 2 } with the federation's public keys"
          : undefined,
    },
  )
  .superRefine(({ keys, threshold }, context) => {
    const problem = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (new Set(keys).size !== keys.length) problem("keys", "must not name a key twice");
    if (keys.length > 0 && threshold > keys.length)
      problem("threshold", `must be at most ${keys.length}, as many as keys`);
  });

const requiredPeers = z
  .strictObject({
    atLeast: limit,
    /** Sites of whom this one knows that they do not collude. */
    of: z.array(siteIdSchema),
  })
  .refine(({ atLeast, of }) => new Set(of).size === of.length && atLeast <= of.length, {
    error: "must name at least as many sites as it asks for, each once",
  });

const privacyBudget = {
  /** Whether every run must be private. */
  required: z.boolean().default(false),
  /** The most that all runs together may ever spend on this site's images, at this delta. */
  maxEpsilon: z.number().positive(),
  delta: z.number().gt(0).lt(0.1),
};

const patientPrivacy = z.strictObject({
  /** Whom a private run protects here: each patient. */
  mode: z.literal("patient"),
  ...privacyBudget,
  /** Images of one patient that a private run may see at all; absent: no limit. */
  perPatientMaxImages: limit.optional(),
});

const sitePrivacy = z.strictObject({
  /** The hospital as a whole. */
  mode: z.literal("site"),
  ...privacyBudget,
  /** The least noise over the clip, σ, that a run may have; absent: whatever its ε comes to. */
  minNoiseMultiplier: z.number().positive().optional(),
});

export const policySchema = z.strictObject({
  version: z.literal(1),
  /** The only federation whose plans are followed. */
  federation: z.string().min(1),
  governance,
  secagg: z.strictObject({
    /** Fewest hospitals in a sum that this site's update may enter. */
    minCohort: z.number().int().min(2),
    /** The masking must withstand at least this many hospitals that collude with the coordinator. */
    maxColluders: z.number().int().min(0),
    /** A sum must also hold so many of these sites; absent: any sites of the roster. */
    requiredPeers: requiredPeers.optional(),
    /** Attempts at one round to which this site uploads its masked update; it begins at most ten times as many. */
    maxAttempts: limit.default(3),
  }),
  jobs: z.strictObject({
    methods: z.array(z.enum(runMethodNames)),
    architectures: z.array(architectures),
    modalities: z.array(modalitySchema),
    maxRounds: limit,
    maxStepsPerRound: limit,
    /** A round of very few steps tells more of single images. */
    minStepsPerRound: limit.default(20),
    maxBatchSize: limit,
    maxParameters: limit,
    /** A run is refused while the site has fewer images than this. */
    minLocalSamples: limit,
    /** Different runs that may ever use this site's images; each counts from when it was first accepted. */
    maxRunsPerDataset: limit.default(3),
    /** Whose runs may train here, as in "fed://demo/researcher/r1". By the coordinator's word, which nothing proves. */
    researchers: z.union([z.literal("everyone"), z.array(identityUri)]).default("everyone"),
    /** Whether a person of this site must grant each run before it may begin. */
    approval: z.enum(["automatic", "manual"]).default("manual"),
  }),
  /** Differential privacy; absent: runs that ask for it are refused, because there is no budget for them. */
  dp: z.discriminatedUnion("mode", [patientPrivacy, sitePrivacy], { error: "mode must be patient or site" }).optional(),
  /** A site works out each model itself, and trains on one only within these bounds. */
  model: z
    .strictObject({
      /** Norm of the change that a round may make to the weights. */
      maxUpdateL2: z.number().positive().default(1000),
      /** Largest change that a round may make to one weight. */
      maxTensorChange: z.number().positive().default(5),
      /** SHA-256 of models that a run may begin with besides its seed's. */
      initialDigests: z.array(z.string().regex(/^[0-9a-f]{64}$/, "is no SHA-256 in lower-case hex")).default([]),
    })
    .prefault({}),
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
