import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import {
  type Advertised,
  type Advertisement,
  type Delivered,
  type ReceivedPlan,
  type Reveal,
  roundKeyText,
  type SealedShares,
  type SignedUpload,
  type SiteSignature,
} from "@consilium/shared/protocol.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type { AuditTrail } from "../audit/audit-log.js";
import { roundOf } from "../audit/round-object.js";
import { datasetId } from "../audit/site-log.js";
import type { ModelChain } from "../chain/model-chain.js";
import type { DataSettings } from "../data/data-settings.js";
import type { SiteRoster } from "../governance/site-roster.js";
import type { Policy } from "../policy.js";
import type { PrivacyAccount } from "../privacy/privacy-account.js";
import type { AttemptLedger } from "../secagg/attempt-ledger.js";
import type { SiteFloors } from "../secagg/plan-facts.js";
import { ProtocolRefusal } from "../secagg/refusal.js";
import type { PrivateTraining, TrainedRound, Trainer, TrainJob, TrainProgress } from "../trainer/protocol.js";
import { type Contribution, contributionOf } from "../update/delta.js";
import type { CoordinatorClient, StageOutcome } from "./coordinator.js";
import { eventAfter } from "./failure.js";
import type { Patience } from "./patience.js";
import type { CheckedPlan } from "./plan-check.js";
import { type Chargeable, chargeTraining, chargeUpload } from "./privacy-charges.js";
import type { RunDraws } from "./run-draws.js";
import { StageCalls } from "./stage-calls.js";
import type { ParticipantEvent, Work } from "./state.js";
import { loadDelta, type StoredUpdate, type UpdateStore } from "./update-store.js";

/** The site's half of one masked aggregation; its secrets live in memory only. */
export interface MaskingSession {
  advertise(): Advertisement;
  share(advertised: Advertised): SealedShares;
  mask(delivered: Delivered, contribution: Contribution): MaskedUpload;
  confirm(uploads: readonly SignedUpload[]): Uint8Array;
  reveal(signatures: readonly SiteSignature[]): readonly Reveal[];
  erase(): void;
}

/** What every attempt of this site uses. */
export interface AttemptSurroundings {
  readonly siteId: string;
  readonly coordinator: CoordinatorClient;
  readonly trainer: Trainer;
  readonly models: Pick<ModelChain, "obtain" | "confirm">;
  readonly updates: UpdateStore;
  readonly draws: Pick<RunDraws, "seedOf">;
  readonly ledger: Pick<AttemptLedger, "standingOf">;
  readonly openSession: (received: ReceivedPlan, floors: SiteFloors) => MaskingSession;
  readonly roster: Pick<SiteRoster, "follow" | "requireFollowed" | "version">;
  readonly training: {
    /** The trainer keeps one folder per run below it. */
    readonly stateDirectory: string;
    readonly data: DataSettings;
    readonly threads: number | undefined;
    readonly engine?: NonNullable<TrainJob["engine"]>;
  };
  readonly patience: Patience;
  readonly privacy: Pick<PrivacyAccount, "assess" | "chargeTraining" | "chargeUpload">;
  readonly audit: AuditTrail;
  readonly onProgress: (progress: TrainProgress) => void;
  readonly onTrained: (trained: TrainedRound) => void;
  /** A message of the attempt did not pass the check of this name. */
  readonly onRejected: (check: string) => void;
}

/** A plan that this site follows, and what it was checked against. */
export interface AttemptSubject {
  readonly received: ReceivedPlan;
  readonly checked: CheckedPlan;
  readonly policy: Policy;
  /** Images that training may read. */
  readonly localSamples: number;
}

/** Tries at training in one attempt when the trainer process is lost. */
const trainerLives = 3;

/** The work of one attempt at one round: each piece ends in an event for the transition. */
export class Attempt {
  readonly received: ReceivedPlan;
  readonly #checked: CheckedPlan;
  readonly #policy: Policy;
  readonly #localSamples: number;
  readonly #around: AttemptSurroundings;
  readonly #abandoned = new AbortController();
  readonly #calls: StageCalls;
  #checkpointPath: string | undefined;
  #earlierCheckpointPath: string | undefined;
  #session: MaskingSession | undefined;
  #contribution: Contribution | undefined;
  #confirmed = false;
  #privateTraining: PrivateTraining | undefined;

  constructor(subject: AttemptSubject, around: AttemptSurroundings) {
    this.received = subject.received;
    this.#localSamples = subject.localSamples;
    this.#checked = subject.checked;
    this.#policy = subject.policy;
    this.#around = around;
    this.#calls = new StageCalls(subject.received.plan, around, this.#abandoned.signal);
  }

  get abandoned(): boolean {
    return this.#abandoned.signal.aborted;
  }

  /** Stops whatever runs and erases the attempt's secrets. */
  abandon(): void {
    this.#abandoned.abort();
    this.#session?.erase();
    this.#session = undefined;
    this.#contribution = undefined;
  }

  /** Never rejects; failures are events. Undefined when the attempt was abandoned meanwhile. */
  async perform(work: Work, outcome?: StageOutcome): Promise<ParticipantEvent | undefined> {
    try {
      const event = await this.#perform(work, outcome);
      return this.abandoned ? undefined : event;
    } catch (thrown) {
      return this.abandoned ? undefined : eventAfter(asConsiliumError(thrown), this.#key);
    }
  }

  async #perform(work: Work, outcome: StageOutcome | undefined): Promise<ParticipantEvent> {
    switch (work) {
      case "fetch":
        return this.#fetch();
      case "train":
        return this.#train();
      case "advertise":
        return this.#ended(await this.#advertise());
      case "share":
        return this.#ended(await this.#share(expecting(outcome, "advertised")));
      case "upload":
        return this.#ended(await this.#upload(expecting(outcome, "delivered")));
      case "confirm":
        return this.#ended(await this.#confirm(expecting(outcome, "survivors")));
      case "unmask":
        return this.#ended(await this.#unmask(expecting(outcome, "confirmed")));
    }
  }

  get #chargeable(): Chargeable {
    const { config, layout } = this.#checked;
    return { key: this.#key, config, dimension: layout.dimension, dp: this.#policy.dp };
  }

  get #key() {
    return this.received.plan.key;
  }

  #ended(outcome: StageOutcome): ParticipantEvent {
    return { kind: "outcome", key: this.#key, outcome };
  }

  async #fetch(): Promise<ParticipantEvent> {
    const { plan } = this.received;
    const { signal } = this.#abandoned;
    const { config, layout } = this.#checked;
    const { coordinator: source, models } = this.#around;
    const { path, earlierPath, isNew } = await models.obtain({
      ...{ received: this.received, source, signal },
      run: { ...plan, runId: plan.key.runId, config, configJson: plan.runConfigJson, layout, policy: this.#policy },
      persistently: (download) => this.#calls.persistently(plan.trainingWindowMs, download),
    });
    // site-check: model-audited
    if (isNew) this.#recordModel();
    this.#checkpointPath = path;
    this.#earlierCheckpointPath = earlierPath;
    return { kind: "fetched", key: plan.key };
  }

  #recordModel(): void {
    const { key, checkpointDigest, checkpointBytes: bytes } = this.received.plan;
    const object = { ...roundOf(key), checkpoint: hex(checkpointDigest), bytes };
    this.#around.audit.record({ action: "model.received", object, corrId: roundKeyText(key) });
  }

  /** Before the trainer is asked, which reads the images. */
  #recordData(): void {
    const { audit, training } = this.#around;
    const dataset = datasetId(training.data);
    const object = { ...roundOf(this.#key), dataset, images: this.#localSamples };
    audit.record({ action: "data.opened", object, corrId: roundKeyText(this.#key) });
  }

  async #train(): Promise<ParticipantEvent> {
    const { plan } = this.received;
    const { updates, draws, onTrained } = this.#around;
    const drawSeed = draws.seedOf(plan.key, this.#checked.config.seed);
    // site-check: privacy-charged-before-training
    this.#privateTraining = await chargeTraining(this.#chargeable, this.#around);
    // site-check: data-audited
    this.#recordData();
    const trained = await this.#trainWithLives(drawSeed);
    onTrained(trained);
    // site-check: samples-after-training
    if (trained.sampleCount < this.#policy.jobs.minLocalSamples) {
      return { kind: "refused", key: plan.key, clause: "jobs.minLocalSamples" };
    }
    updates.save(plan.key, storedUpdate(trained, hex(plan.checkpointDigest)));
    return { kind: "trained", key: plan.key };
  }

  /** A trainer process that is lost goes on where it saved, so it is worth starting again. */
  async #trainWithLives(drawSeed: string): Promise<TrainedRound> {
    const { trainer, onProgress } = this.#around;
    const options = { onProgress, signal: this.#abandoned.signal };
    for (let life = 1; ; life++) {
      try {
        return await trainer.trainRound(this.#trainJob(drawSeed), options);
      } catch (error) {
        const lost = error instanceof ConsiliumError && error.code === "training-failed";
        if (!lost || life >= trainerLives || this.abandoned) throw error;
      }
    }
  }

  #trainJob(drawSeed: string): TrainJob {
    const { plan } = this.received;
    const { threads, ...settings } = this.#around.training;
    const { statistics, minCell } = this.#policy.egress;
    return {
      runId: plan.key.runId,
      round: plan.key.round,
      config: this.#checked.config,
      checkpointPath: this.#checkpointPath!,
      ...(this.#earlierCheckpointPath === undefined ? {} : { earlierCheckpointPath: this.#earlierCheckpointPath }),
      firstStep: plan.firstStep,
      siteId: this.#around.siteId,
      drawSeed,
      ...(statistics === "allow" ? { minCell } : {}),
      ...(this.#privateTraining === undefined ? {} : { privacy: this.#privateTraining }),
      ...settings,
      ...(threads === undefined ? {} : { threads }),
    };
  }

  async #advertise(): Promise<StageOutcome> {
    const { received } = this;
    const { plan } = received;
    const { updates, openSession, roster } = this.#around;
    const update = updates.find(plan.key, hex(plan.checkpointDigest));
    if (update === undefined) throw new ConsiliumError("storage", "the update of this round is gone from the disk");
    const delta = await loadDelta(update, plan.dimension).catch((error: unknown) => {
      updates.forget(plan.key);
      throw error;
    });
    this.#contribution = contributionOf({ delta, update, plan, ...this.#checked });
    if (this.abandoned) throw new ConsiliumError("attempt-aborted", "the attempt was given up");
    // Once more: a site may have been removed while this one trained.
    const { members } = roster.requireFollowed(plan, this.#policy.governance);
    const { sites: runSites } = this.#checked.config.cohort;
    const session = openSession(received, { ...this.#policy.secagg, members, runSites });
    this.#session = session;
    const advertisement = this.#checking("advertise", () => session.advertise());
    // The stage opens when training ends for everyone, so its answer may take both windows.
    const windowMs = plan.trainingWindowMs + plan.stageWindowMs;
    return this.#calls.exchange({ stage: "advertise", advertisement }, windowMs);
  }

  async #share({ advertised }: Extract<StageOutcome, { kind: "advertised" }>): Promise<StageOutcome> {
    const sealed = this.#checking("share", () => this.#open().share(advertised));
    return this.#calls.exchange({ stage: "share", sealed });
  }

  async #upload({ delivered }: Extract<StageOutcome, { kind: "delivered" }>): Promise<StageOutcome> {
    // site-check: privacy-charged-before-upload
    chargeUpload(this.#chargeable, this.#around);
    const masked = this.#checking("upload", () => this.#open().mask(delivered, this.#contribution!));
    const outcome = await this.#calls.upload(masked);
    this.#contribution = undefined;
    return outcome;
  }

  async #confirm({ uploads }: Extract<StageOutcome, { kind: "survivors" }>): Promise<StageOutcome> {
    const signature = this.#checking("confirm", () => this.#open().confirm(uploads));
    if (this.#confirmed) throw new ConsiliumError("plan-invalid", "the coordinator asks twice for one confirmation");
    this.#confirmed = true;
    this.#around.models.confirm(this.received, uploads);
    return this.#calls.exchange({ stage: "confirm", signature });
  }

  async #unmask({ signatures }: Extract<StageOutcome, { kind: "confirmed" }>): Promise<StageOutcome> {
    const reveals = this.#checking("unmask", () => this.#open().reveal(signatures));
    return this.#calls.exchange({ stage: "unmask", reveals });
  }

  /** Writes down and counts what this site's own checks say no to. */
  #checking<T>(work: Work, step: () => T): T {
    try {
      return step();
    } catch (thrown) {
      const error = asConsiliumError(thrown);
      const check = error instanceof ProtocolRefusal ? error.check : `${work}-${error.code}`;
      const action = error instanceof ProtocolRefusal && error.isAttack ? "attack.suspected" : "message.rejected";
      this.#around.onRejected(check);
      const object = { ...roundOf(this.#key), check };
      this.#around.audit.record({ action, object, outcome: "refused", corrId: roundKeyText(this.#key) });
      throw error;
    }
  }

  #open(): MaskingSession {
    if (this.#session === undefined) throw new ConsiliumError("attempt-aborted", "the attempt was given up");
    return this.#session;
  }
}

function expecting<Kind extends StageOutcome["kind"]>(
  outcome: StageOutcome | undefined,
  kind: Kind,
): Extract<StageOutcome, { kind: Kind }> {
  if (outcome?.kind !== kind) throw new ConsiliumError("internal", `expected the outcome ${kind}`);
  return outcome as Extract<StageOutcome, { kind: Kind }>;
}

function storedUpdate(trained: TrainedRound, checkpointDigest: string): StoredUpdate {
  const { deltaPath, deltaDigest, sampleCount, meanLoss, figures, steps } = trained;
  return { deltaPath, deltaDigest, checkpointDigest, sampleCount, meanLoss, figures, steps };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
