import { createHash } from "node:crypto";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { type DropReason, planContext, type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import { survivorsDigest, survivorsSignatureInput, uploadSignatureInput } from "@consilium/shared/secagg/transcript.js";
import type { SiteRegistry } from "../sites/registry.js";
import type { RunStore, StageName, UploadRow } from "../store/run-store.js";
import type { SpooledUpload, SpoolWriter, UploadSpool } from "../store/upload-spool.js";
import { type Admission, admit } from "./admission.js";
import { storedState } from "./attempt.js";
import type { RunDriver } from "./driver.js";
import {
  checkAbortList,
  checkAborts,
  checkAdvert,
  checkReveals,
  checkShares,
  checkSignature,
  MessageFault,
} from "./message-checks.js";
import { type Outcome, outcomeOf } from "./outcomes.js";
import type { MessageCodec, RoundObserver } from "./ports.js";
import type { RunQueue } from "./run-queue.js";
import { isMember, type RoundEvent, type RoundState } from "./state.js";
import { Transcripts } from "./transcript.js";

type ExchangeStage = Exclude<StageName, "upload">;

export interface Submission {
  readonly key: RoundKey;
  readonly siteId: string;
  readonly stage: ExchangeStage;
  /** The message in its one canonical encoding. */
  readonly bytes: Uint8Array;
}

export interface SubmissionOptions {
  readonly queue: RunQueue;
  readonly store: RunStore;
  readonly spool: UploadSpool;
  readonly registry: SiteRegistry;
  readonly codec: MessageCodec;
  readonly observer: RoundObserver;
}

/** How an upload goes on after its header. */
export type UploadStart =
  | { readonly kind: "write"; readonly writer: SpoolWriter; readonly expectedBytes: number }
  /** The vector is here already; only its digest is compared. */
  | { readonly kind: "compare"; readonly stored: UploadRow }
  | { readonly kind: "answered"; readonly outcome: Outcome };

/** A whole upload: who sent it, and the site's signature under it. */
export interface SealedUpload {
  readonly key: RoundKey;
  readonly siteId: string;
  readonly signature: Uint8Array;
  readonly signal: AbortSignal;
}

const eventOf: Record<Exclude<ExchangeStage, "advertise">, "shared" | "confirmed" | "revealed"> = {
  share: "shared",
  confirm: "confirmed",
  unmask: "revealed",
};

/** The sites' messages of the five stages: taken once, stored, answered when the stage closes. */
export class Submissions {
  readonly #options: SubmissionOptions;
  readonly #transcripts: Transcripts;

  constructor(options: SubmissionOptions) {
    this.#options = options;
    this.#transcripts = new Transcripts(options.store, options.codec);
  }

  /**
   * Takes a message and waits for its stage. The same message again waits for, or gets, the same outcome.
   * @throws ConsiliumError "message-conflict" for another message after the first, "stale" for an attempt or stage that
   * is not open, "update-invalid" for a message that cannot be: its site is then dropped.
   */
  async submit(submission: Submission, signal: AbortSignal): Promise<Outcome> {
    const { key, siteId, stage, bytes } = submission;
    const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
    const stored = this.#options.store.findMessage(key, siteId, stage);
    if (stored !== undefined && !Buffer.from(stored.digest).equals(digest)) throw conflict(key, siteId, stage);
    const driver = this.#options.queue.driverOf(key);
    if (driver === undefined) return this.#pastOutcome(key, siteId, stage);
    if (this.#admission(driver, siteId, stage) === "open") {
      this.#check(driver, submission);
      driver.apply(this.#eventOf(submission), { message: { siteId, stage, digest, bytes } });
    }
    return this.#outcome(key, siteId, { stage, signal });
  }

  /** @throws ConsiliumError "update-invalid" when the length is not the plan's: the site is then dropped. */
  async beginUpload(key: RoundKey, siteId: string, words: number): Promise<UploadStart> {
    const driver = this.#options.queue.driverOf(key);
    if (driver === undefined) return { kind: "answered", outcome: this.#pastOutcome(key, siteId, "upload") };
    const known = outcomeOf(stateOf(driver), siteId, "upload");
    if (known !== undefined) return { kind: "answered", outcome: known };
    const stored = this.#options.store.findUpload(key, siteId);
    if (stored !== undefined) return { kind: "compare", stored };
    if (this.#admission(driver, siteId, "upload") !== "open") throw stale(key, siteId, "upload");
    const { dimension, lanes } = this.#options.codec.decodePlan(driver.plan!.body);
    const expected = dimension + lanes.length;
    if (words !== expected) throw this.wrongLength(key, siteId, `${words} words instead of ${expected}`);
    return { kind: "write", writer: await this.#options.spool.begin(key, siteId), expectedBytes: 4 * expected };
  }

  #eventOf({ siteId, stage, bytes }: Submission): RoundEvent {
    if (stage !== "advertise") return { kind: eventOf[stage], siteId };
    const aborts = this.#options.codec.decodeAdvert(bytes).aborts.map(({ attempt, signature }) => {
      return { siteId, attempt, signature: Buffer.from(signature).toString("hex") };
    });
    return { kind: "adverted", siteId, aborts };
  }

  /** Makes a whole vector durable, takes it, and waits for the survivors. */
  async finishUpload({ key, siteId, signature, signal }: SealedUpload, writer: SpoolWriter): Promise<Outcome> {
    this.#checkUpload({ key, siteId, signature }, writer);
    const upload = await this.#keep(key, writer);
    const driver = this.#options.queue.driverOf(key);
    if (driver === undefined || upload === undefined) return this.#pastOutcome(key, siteId, "upload");
    const stored = this.#options.store.findUpload(key, siteId);
    if (stored !== undefined && !Buffer.from(stored.sha256).equals(upload.sha256))
      throw conflict(key, siteId, "upload");
    if (stored === undefined && this.#admission(driver, siteId, "upload") === "open") {
      driver.apply({ kind: "uploaded", siteId, bytes: upload.bytes }, { upload: { siteId, ...upload, signature } });
      this.#options.observer.uploadStored(upload.bytes);
    }
    return this.#outcome(key, siteId, { stage: "upload", signal });
  }

  /** Undefined when the attempt ended meanwhile, which takes the spool's folder away. */
  async #keep(key: RoundKey, writer: SpoolWriter): Promise<SpooledUpload | undefined> {
    try {
      return await writer.keep();
    } catch (thrown) {
      if (this.#options.queue.driverOf(key) === undefined) return undefined;
      throw thrown;
    }
  }

  /** The vector is here already. */
  async repeatUpload(key: RoundKey, siteId: string, sha256: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    const stored = this.#options.store.findUpload(key, siteId);
    if (stored !== undefined && !Buffer.from(stored.sha256).equals(sha256)) throw conflict(key, siteId, "upload");
    return this.#outcome(key, siteId, { stage: "upload", signal });
  }

  /** Drops the site for a vector of another length; returns the error that says so. */
  wrongLength(key: RoundKey, siteId: string, text: string): MessageFault {
    this.#drop(key, siteId, "wrong-length");
    return new MessageFault(siteId, "wrong-length", `the masked vector has ${text}`);
  }

  /** What a site says about itself. Reports about attempts that are over change nothing. */
  report(key: RoundKey, event: Extract<RoundEvent, { kind: "phase-reported" | "refused" | "site-failed" }>): void {
    const { queue } = this.#options;
    // A refusal is about the plan, which the attempts of a round share.
    const driver = event.kind === "refused" ? queue.driverOfRound(key) : queue.driverOf(key);
    driver?.apply(event);
  }

  #drop(key: RoundKey, siteId: string, reason: DropReason): void {
    this.#options.queue.driverOf(key)?.apply({ kind: "site-dropped", siteId, reason });
  }

  #admission(driver: RunDriver, siteId: string, stage: StageName): Admission {
    const state = stateOf(driver);
    const admission = admit(state, siteId, stage);
    if (admission === "early") throw stale(state.key, siteId, stage);
    return admission;
  }

  #check(driver: RunDriver, { key, siteId, stage, bytes }: Submission): void {
    try {
      this.#checkMessage(driver, { key, siteId, stage, bytes });
    } catch (thrown) {
      if (thrown instanceof MessageFault) this.#drop(key, siteId, thrown.reason);
      else if (asConsiliumError(thrown).code === "update-invalid") this.#drop(key, siteId, "bad-message");
      throw thrown;
    }
  }

  /** @throws MessageFault for a signature that does not hold: the site is then dropped */
  #checkUpload({ key, siteId, signature }: Omit<SealedUpload, "signal">, writer: SpoolWriter): void {
    const driver = this.#options.queue.driverOf(key);
    const state = driver?.state;
    if (driver === undefined || state?.kind !== "uploading") return;
    const binding = this.#transcripts.sharedBindingOf(state, driver.plan!.body);
    const text = uploadSignatureInput(binding, siteId, { sha256: writer.digest(), words: writer.bytes / 4 });
    try {
      checkSignature(this.#signer(siteId), text, signature);
    } catch (thrown) {
      this.#drop(key, siteId, "bad-signature");
      throw thrown;
    }
  }

  #signer(siteId: string) {
    return { siteId, enrolledKey: this.#options.registry.requireEnrolled(siteId).identityKey };
  }

  #checkMessage(driver: RunDriver, { key, siteId, stage, bytes }: Submission): void {
    const { codec } = this.#options;
    const state = stateOf(driver);
    const planBody = driver.plan!.body;
    switch (stage) {
      case "advertise":
        this.#checkAdvertisement({ key, siteId, bytes }, planBody);
        break;
      case "share":
        if (state.kind !== "sharing") break;
        checkShares(siteId, codec.decodeShares(bytes), {
          ...this.#signer(siteId),
          neighbours: this.#transcripts.neighbourhoodsOf(state, planBody).neighboursOf(siteId),
          binding: this.#transcripts.bindingOf(state, planBody),
        });
        break;
      case "confirm": {
        if (state.kind !== "confirming") break;
        const digest = survivorsDigest(this.#transcripts.uploadsOf(state));
        const text = survivorsSignatureInput(this.#transcripts.sharedBindingOf(state, planBody), digest);
        checkSignature(this.#signer(siteId), text, codec.decodeConfirmation(bytes));
        break;
      }
      case "unmask":
        if (state.kind !== "unmasking") break;
        checkReveals(siteId, codec.decodeReveals(bytes), {
          ...state,
          neighbourhoods: this.#transcripts.neighbourhoodsOf(state, planBody),
        });
        break;
    }
  }

  #checkAdvertisement({ key, siteId, bytes }: Omit<Submission, "stage">, planBody: Uint8Array): void {
    const { codec, store } = this.#options;
    const signer = this.#signer(siteId);
    const { advert, aborts } = codec.decodeAdvert(bytes);
    checkAbortList({ siteId, attempt: key.attempt }, aborts, (attempt) => {
      const row = store.findAttempt({ ...key, attempt });
      return row !== undefined && isMember(storedState(row), siteId);
    });
    const others = store.listMessages(key, "advertise").map((message) => codec.decodeAdvert(message.bytes).advert);
    checkAdvert(siteId, advert, { planBody, enrolledKey: signer.enrolledKey, others });
    checkAborts(signer, aborts, (attempt) => {
      const row = store.findAttempt({ ...key, attempt });
      return row && planContext(row.planBody);
    });
  }

  async #outcome(key: RoundKey, siteId: string, call: { stage: StageName; signal: AbortSignal }): Promise<Outcome> {
    // Taking the message may have ended the attempt, and begun the next.
    const driver = this.#options.queue.driverOf(key);
    if (driver === undefined) return this.#pastOutcome(key, siteId, call.stage);
    return driver.outcome(siteId, call.stage, call.signal);
  }

  #pastOutcome(key: RoundKey, siteId: string, stage: StageName): Outcome {
    const row = this.#options.store.findAttempt(key);
    const outcome = row === undefined ? undefined : outcomeOf(storedState(row), siteId, stage);
    if (outcome === undefined) throw stale(key, siteId, stage);
    return outcome;
  }
}

function stateOf(driver: RunDriver): RoundState {
  return driver.state!;
}

function conflict(key: RoundKey, siteId: string, stage: StageName): ConsiliumError {
  const text = `site ${siteId} sent two different messages of stage ${stage} in ${roundKeyText(key)}`;
  return new ConsiliumError("message-conflict", text, { remedy: "the agent sits this attempt out and joins the next" });
}

function stale(key: RoundKey, siteId: string, stage: StageName): ConsiliumError {
  const text = `stage ${stage} of ${roundKeyText(key)} is not open to site ${siteId}`;
  return new ConsiliumError("stale", text, { remedy: "follow the plan that comes on the attached stream" });
}
