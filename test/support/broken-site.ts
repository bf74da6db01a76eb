import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@consilium/shared/clock.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { silentLogger } from "@consilium/shared/log.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { lanePermissions } from "@consilium/shared/secagg/lanes.js";
import { ApprovalStore } from "@consilium/site-agent/approvals/approval-store.js";
import { RunHistory } from "@consilium/site-agent/approvals/run-history.js";
import { CheckpointCache } from "@consilium/site-agent/chain/checkpoint-cache.js";
import { ModelLedger } from "@consilium/site-agent/chain/ledger.js";
import { ModelChain } from "@consilium/site-agent/chain/model-chain.js";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import type { Policy } from "@consilium/site-agent/policy.js";
import { privacyAccount } from "@consilium/site-agent/privacy/open-account.js";
import { ledgerFiles } from "@consilium/site-agent/round/ledger-files.js";
import { Participant } from "@consilium/site-agent/round/participant.js";
import { Reporter } from "@consilium/site-agent/round/reporter.js";
import { RunDraws } from "@consilium/site-agent/round/run-draws.js";
import { UpdateStore } from "@consilium/site-agent/round/update-store.js";
import { AttemptLedger } from "@consilium/site-agent/secagg/attempt-ledger.js";
import { SiteSession } from "@consilium/site-agent/secagg/site-session.js";
import type { Trainer } from "@consilium/site-agent/trainer/protocol.js";
import type { HostileSite } from "./hostile-site.js";

const policy: Policy = {
  version: 1,
  federation: "demo",
  governance: { keys: [`ed25519:${"01".repeat(32)}`], threshold: 1, additions: "approve" },
  secagg: { minCohort: 2, maxColluders: 0, maxAttempts: 3 },
  jobs: {
    methods: ["simclr"],
    architectures: ["vit-nano"],
    modalities: ["dermatology"],
    maxRounds: 10,
    maxStepsPerRound: 10,
    maxBatchSize: 64,
    maxParameters: 10_000_000,
    minLocalSamples: 1,
    maxRunsPerDataset: 10,
    minStepsPerRound: 1,
    researchers: "everyone",
    approval: "automatic",
  },
  model: { maxUpdateL2: 1000, maxTensorChange: 5, initialDigests: [] },
  egress: { lanes: [...lanePermissions], statistics: "deny", minCell: 10 },
};

/** A trainer whose update has this value in one coordinate. */
export function brokenTrainer(value: number): Trainer {
  return {
    async trainRound({ config, stateDirectory }) {
      const delta = new Float32Array(parameterLayout(runConfigSchema.parse(config)).dimension);
      delta[17] = value;
      const bytes = new Uint8Array(delta.buffer);
      mkdirSync(stateDirectory, { recursive: true });
      const deltaPath = join(stateDirectory, "delta.f32");
      writeFileSync(deltaPath, bytes);
      const deltaDigest = createHash("sha256").update(bytes).digest("hex");
      const round = { sampleCount: 10, meanLoss: 1, steps: 2, figures: {}, imagesPerSecond: 0, skipped: {} };
      return { deltaPath, deltaDigest, ...round };
    },
    stop: async () => {},
  };
}

/** The agent's own participant over the site's connection, with a trainer that the test gives. */
export function realParticipant(
  site: HostileSite,
  options: { directory: string; trainer: Trainer; dp?: Policy["dp"] },
): Participant {
  const { directory, trainer, dp } = options;
  const { siteId, identity, members } = site.credentials;
  const membership = { members, floors: { minCohort: 2, maxColluders: 0 } };
  const ledger = new AttemptLedger(ledgerFiles(join(directory, "attempts")));
  const backoff = { initialMs: 50, maxMs: 500, random: Math.random };
  const patience = { clock: systemClock, backoff, onUnreachable() {}, onReached() {} };
  return new Participant({
    attempt: {
      ...{ siteId, trainer, patience, coordinator: site.client },
      privacy: privacyAccount({ privacy: join(directory, "privacy") }, dataSettingsSchema.parse({ path: directory })),
      models: new ModelChain(
        new CheckpointCache(join(directory, "checkpoints")),
        new ModelLedger(join(directory, "models")),
      ),
      updates: new UpdateStore(join(directory, "updates")),
      draws: new RunDraws({ directory: join(directory, "runs"), entropy: systemEntropy, ledger }),
      ledger,
      roster: { version: 1, follow: async () => membership, requireFollowed: () => membership },
      openSession: (received, floors) =>
        new SiteSession({ ...{ received, floors, siteId, identity, ledger }, entropy: systemEntropy }),
      training: {
        stateDirectory: join(directory, "runs"),
        data: dataSettingsSchema.parse({ path: directory }),
        threads: undefined,
      },
      audit: { record() {} },
    },
    federation: "demo",
    loadPolicy: () => ({ ...policy, ...(dp === undefined ? {} : { dp }) }),
    approvals: new ApprovalStore(join(directory, "approvals"), systemClock),
    history: new RunHistory(join(directory, "run-history"), "images"),
    hours: "always",
    countSamples: async () => 10,
    reporter: new Reporter({ coordinator: site.client, patience, logger: silentLogger }),
    observer: { state() {}, progress() {}, trained() {}, refused() {}, rejected() {}, worked() {} },
    logger: silentLogger,
  });
}
