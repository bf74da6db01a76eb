import { createCipheriv, createHash } from "node:crypto";
import type { Entropy } from "@consilium/shared/entropy.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import {
  type Advertised,
  type Advertisement,
  type Delivered,
  planContext,
  type ReceivedPlan,
  type Reveal,
  type SealedShares,
  type SignedUpload,
  type SiteSignature,
} from "@consilium/shared/protocol.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import { thresholdOf } from "@consilium/shared/secagg/protocol.js";
import { type SharedBinding, sharersDigest, survivorsDigest } from "@consilium/shared/secagg/transcript.js";
import { AttemptLedger } from "@consilium/site-agent/secagg/attempt-ledger.js";
import { SiteSession } from "@consilium/site-agent/secagg/site-session.js";
import { testContribution } from "../../../site-agent/src/secagg/test-cohort.js";
import type { Evidence } from "./evidence.js";

/** Draws that depend on the seed alone. */
export class SeededEntropy implements Entropy {
  readonly #stream;

  constructor(name: string) {
    this.#stream = createCipheriv("aes-256-ctr", createHash("sha256").update(name).digest(), Buffer.alloc(16));
  }

  bytes(count: number): Uint8Array {
    return new Uint8Array(this.#stream.update(Buffer.alloc(count)));
  }
}

const siteIds = ["east", "middle", "north", "south", "west", "yard"];
const identities = new Map(siteIds.map((siteId, i) => [siteId, IdentityKey.fromSeed(new Uint8Array(32).fill(i + 1))]));
const members = new Map([...identities].map(([siteId, { publicKey }]) => [siteId, publicKey]));

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** An attempt that a site is in, as far as it was told. */
interface Told {
  readonly session: SiteSession;
  readonly attempt: number;
  readonly context: Uint8Array;
  readonly colluders: number;
  advertisers?: readonly string[];
  advertsHash?: Uint8Array;
  binding?: SharedBinding;
  confirmed?: Uint8Array;
}

export interface SiteTraits {
  /** Whether it keeps its ledger from one plan to the next, as every honest site does. */
  readonly remembers: boolean;
  readonly seed: number;
}

/** A site's own code for masked aggregation, told whatever its caller likes. What it says and gives is evidence. */
export class LiedToSite {
  readonly siteId: string;
  readonly identity: IdentityKey;
  readonly #evidence: Evidence;
  readonly #traits: SiteTraits;
  readonly #entropy: Entropy;
  readonly #contexts = new Map<number, Uint8Array>();
  #records = new Map<string, string>();
  #told: Told | undefined;

  constructor(index: number, evidence: Evidence, traits: SiteTraits) {
    this.siteId = siteIds[index]!;
    this.identity = identities.get(this.siteId)!;
    this.#evidence = evidence;
    this.#traits = traits;
    this.#entropy = new SeededEntropy(`${traits.seed}/${this.siteId}`);
  }

  /** What it was told in the attempt that it is in; undefined when that is another one. */
  toldIn(context: Uint8Array): Readonly<Told> | undefined {
    return this.#told !== undefined && hex(this.#told.context) === hex(context) ? this.#told : undefined;
  }

  /** The process ends; what is on the disk stays. */
  restart(): void {
    this.#told = undefined;
  }

  /** Another plan ends the attempt before. */
  advertise(received: ReceivedPlan): Advertisement {
    this.#told?.session.erase();
    this.#told = undefined;
    if (!this.#traits.remembers) this.#records = new Map();
    const { key, colluders } = received.plan;
    const context = planContext(received.body);
    const { siteId, identity } = this;
    const floors = { minCohort: 2, maxColluders: 0, maxAttempts: 3, members };
    const ledger = new AttemptLedger({
      read: (runId) => this.#records.get(runId),
      write: (runId, text) => void this.#records.set(runId, text),
    });
    const session = new SiteSession({ received, siteId, identity, entropy: this.#entropy, floors, ledger });
    const advertisement = session.advertise();
    this.#told = { session, context, attempt: key.attempt, colluders };
    this.#contexts.set(key.attempt, context);
    for (const { attempt } of advertisement.aborts) {
      this.#evidence.aborts.push({ siteId, context: hex(this.#contexts.get(attempt)!) });
    }
    return advertisement;
  }

  share(advertised: Advertised): SealedShares {
    const told = this.#told!;
    const sealed = told.session.share(advertised);
    told.advertisers ??= advertised.adverts.map(({ siteId }) => siteId);
    told.advertsHash ??= advertsDigest(sortAdverts(advertised.adverts));
    return sealed;
  }

  /** The masked words are not looked at here, so that any digest may stand for them. */
  upload(delivered: Delivered): SignedUpload {
    const told = this.#told!;
    const masked = told.session.mask(delivered, testContribution);
    const { context, advertsHash } = told;
    told.binding ??= { context, advertsDigest: advertsHash!, sharersDigest: sharersDigest(delivered.sharers) };
    const sha256 = createHash("sha256")
      .update(`${this.siteId}/${hex(context)}`)
      .digest();
    return { siteId: this.siteId, sha256, signature: masked.seal(sha256) };
  }

  confirm(uploads: readonly SignedUpload[]): SiteSignature {
    const told = this.#told!;
    const { siteId } = this;
    const signature = told.session.confirm(uploads);
    told.confirmed ??= survivorsDigest(uploads);
    const { attempt, context, binding, advertisers, colluders } = told;
    this.#evidence.confirmations.push({
      ...{ siteId, attempt, context: hex(context), survivors: uploads.map((one) => one.siteId).sort() },
      ...{ list: hex(survivorsDigest(uploads)), binding: nameOf(binding!) },
      ...{ advertisers: advertisers!, threshold: thresholdOf(advertisers!.length, colluders) },
    });
    return { siteId, signature };
  }

  reveal(signatures: readonly SiteSignature[]): readonly Reveal[] {
    const told = this.#told!;
    const reveals = told.session.reveal(signatures);
    const { context, advertsHash, advertisers, colluders } = told;
    for (const { aboutSite, share } of reveals) {
      this.#evidence.reveals.push({
        ...{ holder: this.siteId, owner: aboutSite, kind: share.$case },
        ...{ keys: `${hex(context)}/${hex(advertsHash!)}`, advertisers: advertisers! },
        threshold: thresholdOf(advertisers!.length, colluders),
      });
    }
    return reveals;
  }
}

export const nameOf = ({ context, advertsDigest: h1, sharersDigest: h2 }: SharedBinding): string => {
  return [context, h1, h2].map(hex).join("/");
};
