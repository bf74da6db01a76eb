import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { AbortedError, type ConsiliumError } from "@consilium/shared/errors.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import type { KeyAdvert, ReceivedPlan, RoundPlan } from "@consilium/shared/protocol.js";
import { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { ApprovalStore } from "../approvals/approval-store.js";
import { RunHistory } from "../approvals/run-history.js";
import { RecordedTrail } from "../audit/test-log.js";
import { CheckpointCache } from "../chain/checkpoint-cache.js";
import { dataSettingsSchema } from "../data/data-settings.js";
import type { GovernanceRefusal } from "../governance/governance-refusal.js";
import type { Hours } from "../hours.js";
import type { Policy } from "../policy.js";
import { LedgerStore } from "../privacy/ledger-store.js";
import { PrivacyAccount } from "../privacy/privacy-account.js";
import { AttemptLedger } from "../secagg/attempt-ledger.js";
import type { SiteFloors } from "../secagg/plan-facts.js";
import { checkpointBytes, examplePlan, examplePolicy, received } from "../test-plans.js";
import type { TrainedRound, Trainer, TrainJob, TrainOptions } from "../trainer/protocol.js";
import type { AttemptSurroundings, MaskingSession } from "./attempt.js";
import type {
  CheckpointRequest,
  CoordinatorClient,
  SiteReport,
  StageCall,
  StageMessage,
  StageOutcome,
} from "./coordinator.js";
import { ledgerFiles } from "./ledger-files.js";
import { Participant } from "./participant.js";
import { RunDraws } from "./run-draws.js";
import type { ParticipantState } from "./state.js";
import { UpdateStore } from "./update-store.js";

/** A coordinator and a trainer that do what a test says, around a real participant. */

type Stage = "advertise" | "share" | "upload" | "confirm" | "unmask";

const outcomeOf: Record<Stage, StageOutcome> = {
  advertise: { kind: "advertised", advertised: { adverts: [], aborts: [] } },
  share: { kind: "delivered", delivered: { sharers: [], shares: [] } },
  upload: { kind: "survivors", uploads: [] },
  confirm: { kind: "confirmed", signatures: [] },
  unmask: { kind: "result", cohort: [], checkpointDigest: new Uint8Array(32) },
};

export class FakeCoordinator implements CoordinatorClient {
  /** Everything that was asked, such as "advertise run-1/0/0". */
  readonly calls: string[] = [];
  readonly reports: SiteReport[] = [];
  /** What the next calls of a stage answer instead of moving on; an Error is thrown. */
  readonly answers: Partial<Record<Stage | "fetch", (StageOutcome | Error)[]>> = {};
  uploaded = 0;

  async *attach() {}

  async *fetchCheckpoint({ key, offset }: CheckpointRequest) {
    this.calls.push(`fetch ${key.round}/${key.attempt} from ${offset}`);
    const scripted = this.answers.fetch?.shift();
    const half = checkpointBytes.length / 2;
    if (offset < half) yield { offset, data: Buffer.from(checkpointBytes.subarray(offset, half)) };
    if (scripted instanceof Error) throw scripted;
    yield { offset: half, data: Buffer.from(checkpointBytes.subarray(half)) };
  }

  async *fetchAggregate() {}

  async *fetchResults() {}

  async fetchRosters() {
    return [];
  }

  async report(report: SiteReport) {
    this.reports.push(report);
  }

  async exchange(message: StageMessage, call: StageCall): Promise<StageOutcome> {
    return this.#answer(message.stage, call);
  }

  async upload(upload: MaskedUpload, call: StageCall): Promise<StageOutcome> {
    for await (const chunk of upload.chunks()) this.uploaded += chunk.length;
    upload.seal(bytes32());
    return this.#answer("upload", call);
  }

  #answer(stage: Stage, { key, signal }: StageCall): StageOutcome {
    if (signal.aborted) throw new AbortedError();
    this.calls.push(`${stage} ${key.round}/${key.attempt}`);
    const scripted = this.answers[stage]?.shift();
    if (scripted instanceof Error) throw scripted;
    return scripted ?? outcomeOf[stage];
  }
}

export class FakeTrainer implements Trainer {
  readonly jobs: TrainJob[] = [];
  /** Thrown by the next trainings. */
  readonly failures: Error[] = [];
  sampleCount = 100;
  /** Training waits for this. */
  gate: Promise<void> = Promise.resolve();

  async trainRound(job: TrainJob, { onProgress, signal }: TrainOptions = {}): Promise<TrainedRound> {
    this.jobs.push(job);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    onProgress?.({ phase: "training", step: 1, steps: 5, loss: 2 });
    await Promise.race([this.gate, fired(signal)]);
    if (signal?.aborted) throw new AbortedError();
    const directory = join(job.stateDirectory, job.runId);
    mkdirSync(directory, { recursive: true });
    const deltaPath = join(directory, `delta-${job.round}.f32`);
    const bytes = Buffer.alloc(examplePlan().dimension * 4);
    writeFileSync(deltaPath, bytes);
    const deltaDigest = createHash("sha256").update(bytes).digest("hex");
    const { sampleCount } = this;
    const figures = { featureSpread: 0.5 };
    return { deltaPath, deltaDigest, sampleCount, meanLoss: 2, figures, steps: 5, imagesPerSecond: 10, skipped: {} };
  }

  async stop() {}
}

function fired(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
}

const bytes32 = () => new Uint8Array(32).fill(7);

/** Says nothing true, but keeps the ledger. */
function fakeSession(ledger: AttemptLedger, { key }: RoundPlan): MaskingSession {
  const advert: KeyAdvert = {
    siteId: "site-a",
    maskPublicKey: bytes32(),
    sealPublicKey: bytes32(),
    selfCommitment: bytes32(),
    nonce: bytes32(),
    signature: new Uint8Array(64),
    identityPublicKey: bytes32(),
  };
  return {
    advertise() {
      ledger.begin(key, { context: bytes32(), maxAttempts: 3 });
      return { advert, aborts: [] };
    },
    share: () => ({ shares: [], root: bytes32(), signature: new Uint8Array(64) }),
    mask: () =>
      MaskedUpload.mask({
        seal: () => new Uint8Array(64),
        words: 10,
        encoder: () => () => {},
        selfKey: bytes32(),
        pairwise: [
          { key: bytes32(), sign: 1 },
          { key: bytes32(), sign: -1 },
        ],
      }),
    confirm: () => new Uint8Array(64),
    reveal: () => [],
    erase: () => {},
  };
}

/** The roster that a site follows; a test may have it refuse every plan. */
export class FakeRoster {
  version = 1;
  refusal: GovernanceRefusal | undefined;
  floors = { minCohort: 2, maxColluders: 0 };

  async follow() {
    return this.requireFollowed();
  }

  requireFollowed() {
    if (this.refusal !== undefined) throw this.refusal;
    return { members: new Map([["site-a", bytes32()]]), floors: this.floors };
  }
}

export interface TestSite {
  readonly coordinator: FakeCoordinator;
  readonly trainer: FakeTrainer;
  readonly participant: Participant;
  readonly clock: ManualClock;
  readonly states: string[];
  readonly unreachable: ConsiliumError[];
  /** Checks that messages did not pass. */
  readonly rejected: string[];
  readonly audit: RecordedTrail;
  readonly approvals: ApprovalStore;
  readonly roster: FakeRoster;
  policy: Policy | Error;
  /** Hands a plan over and waits until the participant rests. */
  plan(changes?: Partial<RoundPlan>): Promise<ParticipantState>;
  /** Moves time until the participant rests in one of its last states. */
  rest(): Promise<ParticipantState>;
}

export interface TestSiteOptions {
  readonly hours?: Hours;
  readonly samples?: number;
  readonly patients?: number;
  readonly coordinator?: FakeCoordinator;
  readonly logger?: Logger;
  /** A real session instead of one that says nothing true. */
  readonly openSession?: (received: ReceivedPlan, floors: SiteFloors, ledger: AttemptLedger) => MaskingSession;
}

/** A site whose state lies in `directory`; a second one in the same directory is the site after a restart. */
export function testSite(directory: string, options: TestSiteOptions = {}): TestSite {
  const clock = new ManualClock(new Date(2026, 0, 15, 12, 0).getTime());
  const { coordinator = new FakeCoordinator(), openSession } = options;
  const trainer = new FakeTrainer();
  const states: string[] = [];
  const unreachable: ConsiliumError[] = [];
  const audit = new RecordedTrail();
  const approvals = new ApprovalStore(join(directory, "approvals"), clock);
  const history = new RunHistory(join(directory, "run-history"), "images");
  const ledger = new AttemptLedger(ledgerFiles(join(directory, "attempts")));
  const rejected: string[] = [];
  const roster = new FakeRoster();
  const participant = new Participant({
    attempt: {
      siteId: "site-a",
      coordinator,
      trainer,
      models: unchecked(new CheckpointCache(join(directory, "checkpoints"))),
      updates: new UpdateStore(join(directory, "updates")),
      draws: new RunDraws({ directory: join(directory, "runs"), entropy: systemEntropy, ledger }),
      ledger,
      openSession: (received, floors) => openSession?.(received, floors, ledger) ?? fakeSession(ledger, received.plan),
      roster,
      training: {
        stateDirectory: join(directory, "runs"),
        data: dataSettingsSchema.parse({ path: directory }),
        threads: undefined,
      },
      patience: {
        clock,
        backoff: { initialMs: 1000, maxMs: 5000, random: () => 1 },
        onUnreachable: (error) => unreachable.push(error),
        onReached: () => {},
      },
      privacy: new PrivacyAccount({
        ledgers: new LedgerStore(join(directory, "privacy")),
        dataSet: "images",
        countPatients: async () => options.patients ?? 1000,
      }),
      audit,
    },
    federation: "demo",
    loadPolicy: () => {
      if (site.policy instanceof Error) throw site.policy;
      return site.policy;
    },
    approvals,
    history,
    hours: options.hours ?? "always",
    countSamples: async () => options.samples ?? 100,
    reporter: { tell: (report) => void coordinator.report(report) },
    observer: {
      state: (state) => states.push(state.kind),
      progress: () => {},
      trained: () => {},
      refused: () => {},
      rejected: (check) => rejected.push(check),
      worked: () => {},
    },
    logger: options.logger ?? silentLogger,
  });
  const site: TestSite = {
    ...{ coordinator, trainer, participant, clock, states, unreachable, rejected, audit, approvals, roster },
    policy: examplePolicy,
    async plan(changes = {}) {
      await participant.receive({ kind: "plan", received: received(examplePlan(changes)) });
      return site.rest();
    },
    async rest() {
      for (let turns = 0; turns < 5000; turns++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        if (resting.includes(participant.state.kind)) return participant.state;
        if (turns % 5 === 4) clock.advance(500);
      }
      throw new Error(`still ${participant.state.kind}`);
    },
  };
  return site;
}

/** Takes what the coordinator sends: how a site works models out itself is tested with `ModelChain`. */
function unchecked(cache: CheckpointCache): AttemptSurroundings["models"] {
  return {
    confirm() {},
    async obtain({ received: { plan }, source, signal, persistently }) {
      const { key, checkpointDigest: digest, checkpointBytes: bytes } = plan;
      let isNew = false;
      const fetch = (offset: number) => {
        isNew = true;
        return source.fetchCheckpoint({ key, digest, offset, signal });
      };
      const path = await cache.obtain({ digest, bytes, fetch, persistently });
      return { path, earlierPath: await cache.earlierThan(path), isNew };
    },
  };
}

const resting: readonly string[] = ["idle", "done", "refused", "failed", "left"];
