import { createHash } from "node:crypto";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Delivered, KeyAdvert, ReceivedPlan, Reveal, SealedShare } from "@consilium/shared/protocol.js";
import { advertsDigest, type IdentityKey, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { compareSiteIds, sameBytes } from "@consilium/shared/secagg/protocol.js";
import type { SharePair } from "@consilium/shared/secagg/seal.js";
import type { Contribution } from "../update/delta.js";
import { type Advertisers, verifyAdvertisers, verifySubset } from "./advertisers.js";
import { type PlanFacts, planFacts, type SiteFloors } from "./plan-facts.js";
import { type AttemptSecrets, advertFor, drawSecrets, eraseSecrets } from "./site-keys.js";
import { maskContribution } from "./site-masking.js";
import { dealShares, eraseSharePair, openDelivered, revealsFor } from "./site-shares.js";

export interface SiteSessionOptions {
  readonly received: ReceivedPlan;
  readonly siteId: string;
  readonly identity: IdentityKey;
  readonly entropy: Entropy;
  readonly floors: SiteFloors;
}

interface Advertised {
  readonly secrets: AttemptSecrets;
  readonly advert: KeyAdvert;
}

interface Shared extends Advertised {
  readonly advertisers: Advertisers;
  readonly sealed: readonly SealedShare[];
  readonly own: SharePair;
}

interface Masked extends Shared {
  readonly deliveredDigest: Uint8Array;
  /** U2, sorted. */
  readonly sharers: readonly string[];
  /** A share of every sharer's secrets, by its author; the site's own among them. */
  readonly held: ReadonlyMap<string, SharePair>;
  readonly contribution: Contribution;
  readonly upload: MaskedUpload;
}

interface Revealed extends Masked {
  /** U3, sorted. */
  readonly survivors: readonly string[];
  readonly reveals: readonly Reveal[];
}

/**
 * fresh → advertised → shared → masked → revealed, each by the method of that name, and erased from any of them. Every
 * state keeps the answers given so far: a repeated request gets the same answer, one that contradicts an earlier one is
 * refused and changes nothing.
 */
type SiteState =
  | { readonly stage: "fresh" }
  | ({ readonly stage: "advertised" } & Advertised)
  | ({ readonly stage: "shared" } & Shared)
  | ({ readonly stage: "masked" } & Masked)
  | ({ readonly stage: "revealed" } & Revealed)
  | { readonly stage: "erased" };

/** A site's part in one attempt at one round. Holds the attempt's secrets until `erase`. */
export class SiteSession {
  readonly #facts: PlanFacts;
  readonly #siteId: string;
  readonly #identity: IdentityKey;
  readonly #entropy: Entropy;
  #state: SiteState = { stage: "fresh" };

  /** @throws ConsiliumError "policy-refused" or "plan-invalid", see `planFacts` */
  constructor({ received, siteId, identity, entropy, floors }: SiteSessionOptions) {
    this.#facts = planFacts(received, floors);
    this.#siteId = siteId;
    this.#identity = identity;
    this.#entropy = entropy;
  }

  get stage(): SiteState["stage"] {
    return this.#state.stage;
  }

  /** The site's signed keys for this attempt. */
  advertise(): KeyAdvert {
    const state = this.#state;
    if (state.stage === "erased") throw outOfOrder("advertise", state.stage);
    if (state.stage !== "fresh") return state.advert;
    const secrets = drawSecrets(this.#entropy);
    const advert = advertFor(secrets, {
      context: this.#facts.context,
      siteId: this.#siteId,
      identity: this.#identity,
      entropy: this.#entropy,
    });
    this.#state = { stage: "advertised", secrets, advert };
    return advert;
  }

  /**
   * One sealed share for every other advertiser.
   * @throws ConsiliumError "policy-refused", "share-invalid" or "message-conflict", see `verifyAdvertisers`
   */
  share(adverts: readonly KeyAdvert[]): SealedShare[] {
    const state = this.#state;
    if (state.stage === "fresh" || state.stage === "erased") throw outOfOrder("share", state.stage);
    if (state.stage !== "advertised") {
      const repeated = sameBytes(advertsDigest(sortAdverts(adverts)), state.advertisers.binding.advertsDigest);
      // site-check: adverts-once
      if (!repeated) throw contradiction("list of adverts");
      return [...state.sealed];
    }
    const advertisers = verifyAdvertisers(this.#facts, state.advert, adverts);
    const dealt = dealShares(advertisers, this.#siteId, { secrets: state.secrets, entropy: this.#entropy });
    this.#state = { ...state, stage: "shared", advertisers, sealed: dealt.sealed, own: dealt.own };
    return [...dealt.sealed];
  }

  /**
   * The contribution under masks with every sharer. The contribution must stay as it is until `erase`.
   * @throws ConsiliumError "update-invalid", "policy-refused", "message-conflict", or "share-invalid" naming the author
   */
  mask(delivered: Delivered, contribution: Contribution): MaskedUpload {
    const state = this.#state;
    if (state.stage === "masked" || state.stage === "revealed") {
      // site-check: delivery-once
      if (!sameBytes(digestOf(delivered), state.deliveredDigest)) throw contradiction("delivery of shares");
      // site-check: contribution-once
      if (!sameContribution(contribution, state.contribution)) throw contradiction("contribution");
      return state.upload;
    }
    if (state.stage !== "shared") throw outOfOrder("mask", state.stage);
    const { advertisers, secrets } = state;
    const earlier = advertisers.adverts.map((advert) => advert.siteId);
    const within = { earlier, self: this.#siteId, floors: advertisers.floors };
    const sharers = verifySubset("share", delivered.sharers, within);
    const held = openDelivered(advertisers, this.#siteId, { delivered, sealSecret: secrets.sealSecret });
    held.set(this.#siteId, state.own);
    const site = { siteId: this.#siteId, secrets, facts: this.#facts, advertisers, sharers };
    const upload = maskContribution(site, contribution, this.#entropy);
    // The upload holds the mask keys; the secrets behind them are done.
    eraseSecrets(secrets);
    const deliveredDigest = digestOf(delivered);
    this.#state = { ...state, stage: "masked", deliveredDigest, sharers, held, contribution, upload };
    return upload;
  }

  /**
   * One share for every sharer, of the kind that the site's own sets decide.
   * @throws ConsiliumError "message-conflict" for a second, different list or one that does not fit the sharers,
   * "policy-refused" below the floors
   */
  reveal(survivors: readonly string[]): Reveal[] {
    const state = this.#state;
    if (state.stage === "revealed") {
      // site-check: survivors-once
      if (!sameSites(survivors, state.survivors)) throw contradiction("list of survivors");
      return [...state.reveals];
    }
    if (state.stage !== "masked") throw outOfOrder("reveal", state.stage);
    const within = { earlier: state.sharers, self: this.#siteId, floors: state.advertisers.floors };
    const sorted = verifySubset("unmask", survivors, within);
    const reveals = revealsFor(state.sharers, new Set(sorted), state.held);
    this.#state = { ...state, stage: "revealed", survivors: sorted, reveals };
    return [...reveals];
  }

  /** Overwrites every secret of the attempt. What was revealed stays with whoever received it. */
  erase(): void {
    const state = this.#state;
    this.#state = { stage: "erased" };
    if (state.stage === "fresh" || state.stage === "erased") return;
    eraseSecrets(state.secrets);
    if (state.stage === "advertised") return;
    eraseSharePair(state.own);
    if (state.stage === "shared") return;
    for (const pair of state.held.values()) eraseSharePair(pair);
    state.upload.erase();
  }
}

function digestOf({ sharers, shares }: Delivered): Buffer {
  const hash = createHash("sha256").update(JSON.stringify([...sharers].sort(compareSiteIds)));
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

function sameSites(a: readonly string[], sorted: readonly string[]): boolean {
  return JSON.stringify([...a].sort(compareSiteIds)) === JSON.stringify(sorted);
}

function outOfOrder(asked: string, stage: string): ConsiliumError {
  return new ConsiliumError("message-conflict", `asked to ${asked} while the attempt is ${stage} at this site`, {
    remedy: "the site joins the round's next attempt",
  });
}

function contradiction(what: string): ConsiliumError {
  return new ConsiliumError("message-conflict", `a second, different ${what} came for the same attempt`, {
    remedy: "the coordinator is faulty or hostile; tell its operator if this repeats",
  });
}
