import { createHash } from "node:crypto";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import type {
  AbortStatement,
  Advertised,
  Advertisement,
  Delivered,
  ReceivedPlan,
  Reveal,
  RoundKey,
  SealedShares,
  SignedRoot,
  SignedUpload,
  SiteSignature,
} from "@consilium/shared/protocol.js";
import { advertsDigest, type IdentityKey, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { compareSiteIds, sameBytes } from "@consilium/shared/secagg/protocol.js";
import type { SharePair } from "@consilium/shared/secagg/seal.js";
import {
  abortSignatureInput,
  type SharedBinding,
  sharersDigest,
  survivorsDigest,
  survivorsSignatureInput,
  uploadSignatureInput,
} from "@consilium/shared/secagg/transcript.js";
import type { Contribution } from "../update/delta.js";
import { type Advertisers, heldAmong, verifyAdvertisers } from "./advertisers.js";
import type { AttemptLedger, LedgerAttempt } from "./attempt-ledger.js";
import { isCertified, requireDistinctAborts, requireNothingOpen, requireSafeDifference } from "./earlier-attempts.js";
import { type PlanFacts, planFacts, type SiteFloors } from "./plan-facts.js";
import { contradiction, ProtocolRefusal } from "./refusal.js";
import { requireConfirmed, type UploadedFacts, verifySharers, verifySurvivors } from "./signed-lists.js";
import { type AttemptSecrets, advertFor, drawSecrets, eraseSecrets } from "./site-keys.js";
import { maskContribution } from "./site-masking.js";
import { dealShares, eraseSharePair, openDelivered, revealsFor, signShares } from "./site-shares.js";

export interface SiteSessionOptions {
  readonly received: ReceivedPlan;
  readonly siteId: string;
  readonly identity: IdentityKey;
  readonly entropy: Entropy;
  readonly floors: SiteFloors;
  /** What this site did in all its attempts. */
  readonly ledger: AttemptLedger;
}

interface Advertising {
  readonly secrets: AttemptSecrets;
  readonly advertisement: Advertisement;
}

interface Shared extends Advertising {
  readonly advertisers: Advertisers;
  readonly sealed: SealedShares;
  readonly own: SharePair | undefined;
  /** Earlier attempts of the round that bind the choice of survivors. */
  readonly unproven: readonly LedgerAttempt[];
}

interface Masked extends Shared {
  readonly deliveredDigest: Uint8Array;
  readonly binding: SharedBinding;
  /** U2, sorted. */
  readonly sharers: readonly string[];
  /** A share of every neighbouring sharer's secrets, by its author; the site's own among them. */
  readonly held: ReadonlyMap<string, SharePair>;
  readonly contribution: Contribution;
  readonly upload: MaskedUpload;
}

interface Uploaded extends Masked {
  readonly signed: SignedUpload;
}

interface Confirmed extends Uploaded {
  /** U3, sorted, and h3. */
  readonly survivors: readonly string[];
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

interface Revealed extends Confirmed {
  readonly reveals: readonly Reveal[];
}

/**
 * fresh → advertised → shared → masked → uploaded → confirmed → revealed, each by the method of that name or the upload's
 * seal, and erased from any of them. Every state keeps the answers given so far: a repeated request gets the same answer,
 * one that contradicts an earlier one is refused and changes nothing.
 */
type SiteState =
  | { readonly stage: "fresh" }
  | ({ readonly stage: "advertised" } & Advertising)
  | ({ readonly stage: "shared" } & Shared)
  | ({ readonly stage: "masked" } & Masked)
  | ({ readonly stage: "uploaded" } & Uploaded)
  | ({ readonly stage: "confirmed" } & Confirmed)
  | ({ readonly stage: "revealed" } & Revealed)
  | { readonly stage: "erased" };

/** A site's part in one attempt at one round. Holds the attempt's secrets until `erase`. */
export class SiteSession {
  readonly #facts: PlanFacts;
  readonly #key: RoundKey;
  readonly #maxAttempts: number;
  readonly #siteId: string;
  readonly #identity: IdentityKey;
  readonly #entropy: Entropy;
  readonly #ledger: AttemptLedger;
  #state: SiteState = { stage: "fresh" };

  /** @throws ConsiliumError "policy-refused" or "plan-invalid", see `planFacts` */
  constructor({ received, siteId, identity, entropy, floors, ledger }: SiteSessionOptions) {
    this.#facts = planFacts(received, floors);
    this.#key = received.plan.key;
    this.#maxAttempts = floors.maxAttempts;
    this.#siteId = siteId;
    this.#identity = identity;
    this.#entropy = entropy;
    this.#ledger = ledger;
  }

  get stage(): SiteState["stage"] {
    return this.#state.stage;
  }

  /**
   * The site's signed keys for this attempt, and its word that it gave up those before.
   * @throws ProtocolRefusal "stale" for an attempt begun before, "policy-refused" after too many; see `AttemptLedger.begin`
   */
  advertise(): Advertisement {
    const state = this.#state;
    if (state.stage === "erased") throw outOfOrder("advertise", state.stage);
    if (state.stage !== "fresh") return state.advertisement;
    const { context } = this.#facts;
    const abandoned = this.#ledger.begin(this.#key, { context, maxAttempts: this.#maxAttempts });
    const secrets = drawSecrets(this.#entropy);
    const [siteId, identity] = [this.#siteId, this.#identity];
    const advert = advertFor(secrets, { context, siteId, identity, entropy: this.#entropy });
    const aborts = abandoned.map((one) => ({
      siteId,
      attempt: one.attempt,
      signature: identity.sign(abortSignatureInput(Buffer.from(one.context, "hex"))),
    }));
    const advertisement = { advert, aborts };
    this.#state = { stage: "advertised", secrets, advertisement };
    return advertisement;
  }

  /**
   * One sealed share for every neighbour among the advertisers, under one signed root.
   * @throws ConsiliumError "policy-refused", "share-invalid" or "message-conflict", see `verifyAdvertisers`; the last also
   * when an earlier attempt of the round may still be summed
   */
  share({ adverts, aborts }: Advertised): SealedShares {
    const state = this.#state;
    if (state.stage === "fresh" || state.stage === "erased") throw outOfOrder("share", state.stage);
    if (state.stage !== "advertised") {
      const repeated = sameBytes(advertsDigest(sortAdverts(adverts)), state.advertisers.binding.advertsDigest);
      // site-check: adverts-once
      if (!repeated) throw secondList("list of adverts");
      return state.sealed;
    }
    const advertisers = verifyAdvertisers(this.#facts, state.advertisement.advert, adverts);
    // site-check: aborts-distinct
    requireDistinctAborts(aborts);
    const unproven = this.#unprovenAfter(aborts);
    // site-check: abort-certificate
    requireNothingOpen(unproven);
    const dealt = dealShares(advertisers, this.#siteId, { secrets: state.secrets, entropy: this.#entropy });
    const sealed = signShares(advertisers, { siteId: this.#siteId, identity: this.#identity }, dealt.sealed);
    this.#state = { ...state, stage: "shared", advertisers, sealed, own: dealt.own, unproven };
    return sealed;
  }

  #unprovenAfter(aborts: readonly AbortStatement[]): LedgerAttempt[] {
    const unproven = this.#ledger.unproven(this.#key);
    const proven = unproven.filter((one) => isCertified(one, aborts));
    if (proven.length > 0) this.#ledger.certify(this.#key, proven);
    return unproven.filter((one) => !proven.includes(one));
  }

  /**
   * The contribution under masks with every neighbour that shared. The contribution must stay as it is until `erase`.
   * @throws ConsiliumError "update-invalid", "policy-refused", "message-conflict", or "share-invalid" naming the author
   */
  mask(delivered: Delivered, contribution: Contribution): MaskedUpload {
    const state = this.#state;
    if ("upload" in state) {
      // site-check: delivery-once
      if (!sameBytes(digestOf(delivered), state.deliveredDigest)) throw secondList("delivery of shares");
      // site-check: contribution-once
      if (!sameContribution(contribution, state.contribution)) throw secondList("contribution");
      return state.upload;
    }
    if (state.stage !== "shared") throw outOfOrder("mask", state.stage);
    const { advertisers, secrets, sealed } = state;
    const own: SignedRoot = { siteId: this.#siteId, root: sealed.root, signature: sealed.signature };
    const sharers = verifySharers({ advertisers, own }, delivered);
    const held = openDelivered(advertisers, this.#siteId, { delivered, sealSecret: secrets.sealSecret });
    if (state.own !== undefined) held.set(this.#siteId, state.own);
    const site = { siteId: this.#siteId, secrets, facts: this.#facts, advertisers, sharers };
    const seal = (sha256: Uint8Array) => this.#seal(sha256);
    const upload = maskContribution({ ...site, seal }, contribution, this.#entropy);
    // The upload holds the mask keys; the secrets behind them are done.
    eraseSecrets(secrets);
    this.#ledger.upload(this.#key, { members: membersOf(advertisers), colluders: this.#facts.colluders });
    const binding = { ...advertisers.binding, sharersDigest: sharersDigest(delivered.sharers) };
    const digests = { deliveredDigest: digestOf(delivered), binding };
    this.#state = { ...state, stage: "masked", ...digests, sharers, held, contribution, upload };
    return upload;
  }

  /** One signature per attempt: the masked words are the same each time they are sent. */
  #seal(sha256: Uint8Array): Uint8Array {
    const state = this.#state;
    if ("signed" in state) {
      if (!sameBytes(sha256, state.signed.sha256)) throw secondList("digest of the upload");
      return state.signed.signature;
    }
    if (state.stage !== "masked") throw outOfOrder("seal", state.stage);
    const text = uploadSignatureInput(state.binding, this.#siteId, { sha256, words: state.upload.words });
    const signature = this.#identity.sign(text);
    this.#state = { ...state, stage: "uploaded", signed: { siteId: this.#siteId, sha256, signature } };
    return signature;
  }

  /**
   * The site's signature under the one list of survivors that it accepts in this attempt, for ever.
   * @throws ConsiliumError "message-conflict" for a second list or one that does not fit what was signed before,
   * "policy-refused" below the floors
   */
  confirm(uploads: readonly SignedUpload[]): Uint8Array {
    const state = this.#state;
    const digest = survivorsDigest(uploads);
    if ("survivors" in state) {
      // site-check: survivors-unchanged
      if (!sameBytes(digest, state.digest)) throw secondList("list of survivors", "survivors-once");
      return state.signature;
    }
    if (state.stage !== "uploaded") throw outOfOrder("confirm", state.stage);
    const survivors = verifySurvivors(uploadedFacts(state), uploads);
    // site-check: survivors-difference
    requireSafeDifference(state.unproven, survivors, this.#facts.colluders);
    this.#ledger.confirm(this.#key, { survivors, digest });
    const signature = this.#identity.sign(survivorsSignatureInput(state.binding, digest));
    this.#state = { ...state, stage: "confirmed", survivors, digest, signature };
    return signature;
  }

  /**
   * One share for every sharer of which this site holds shares, of the kind that the site's own sets decide.
   * @throws ProtocolRefusal unless enough survivors confirmed the very list that this site confirmed
   */
  reveal(signatures: readonly SiteSignature[]): Reveal[] {
    const state = this.#state;
    if (state.stage === "revealed") return [...state.reveals];
    if (state.stage !== "confirmed") throw outOfOrder("reveal", state.stage);
    // site-check: survivors-confirmed
    requireConfirmed(state, state, signatures);
    const about = heldAmong(state.advertisers, this.#siteId, state.sharers);
    const reveals = revealsFor(about, new Set(state.survivors), state.held);
    this.#state = { ...state, stage: "revealed", reveals };
    return [...reveals];
  }

  /** Overwrites every secret of the attempt. What was revealed stays with whoever received it. */
  erase(): void {
    const state = this.#state;
    this.#state = { stage: "erased" };
    if (state.stage === "fresh" || state.stage === "erased") return;
    eraseSecrets(state.secrets);
    if (state.stage === "advertised") return;
    if (state.own !== undefined) eraseSharePair(state.own);
    if (state.stage === "shared") return;
    for (const pair of state.held.values()) eraseSharePair(pair);
    state.upload.erase();
  }
}

function uploadedFacts({ advertisers, binding, sharers, signed, upload }: Uploaded): UploadedFacts {
  return { advertisers, binding, sharers, own: signed, words: upload.words };
}

/** The advertisers' identity keys, by which later statements about this attempt are checked. */
function membersOf({ adverts }: Advertisers): Record<string, string> {
  return Object.fromEntries(
    adverts.map(({ siteId, identityPublicKey }) => [siteId, Buffer.from(identityPublicKey).toString("hex")]),
  );
}

function digestOf({ sharers, shares }: Delivered): Buffer {
  const hash = createHash("sha256").update(sharersDigest(sharers));
  const sorted = [...shares].sort((a, b) => compareSiteIds(a.fromSite, b.fromSite));
  for (const { fromSite, toSite, ciphertext } of sorted) {
    hash.update(JSON.stringify([fromSite, toSite, ciphertext.length])).update(ciphertext);
  }
  return hash.digest();
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

function sameContribution(a: Contribution, b: Contribution): boolean {
  const sameFigures = a.sampleCount === b.sampleCount && a.meanLoss === b.meanLoss && a.steps === b.steps;
  const same = sameFigures && canonicalJson(a.figures) === canonicalJson(b.figures);
  return same && (a.delta === b.delta || sameBytes(bytesOf(a.delta), bytesOf(b.delta)));
}

function outOfOrder(asked: string, stage: string): ProtocolRefusal {
  return new ProtocolRefusal("in-order", `asked to ${asked} while the attempt is ${stage} at this site`);
}

function secondList(what: string, check = "said-once"): ProtocolRefusal {
  return contradiction(check, `a second, different ${what} came for the same attempt`);
}
