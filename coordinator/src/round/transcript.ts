import {
  planContext,
  type RoundKey,
  roundKeyText,
  type SignedRoot,
  type SignedUpload,
} from "@consilium/shared/protocol.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import type { AttemptBinding } from "@consilium/shared/secagg/key-agreement.js";
import { type Neighbourhoods, neighbourhoodsOf } from "@consilium/shared/secagg/neighbourhoods.js";
import { type SharedBinding, sharersDigest } from "@consilium/shared/secagg/transcript.js";
import type { RunStore } from "../store/run-store.js";
import type { MessageCodec } from "./ports.js";
import type { AttemptRules, RoundState } from "./state.js";

/** The lists of an attempt as its sites signed them, from what is stored. A list is asked for once it is closed. */
export class Transcripts {
  readonly #store: RunStore;
  readonly #codec: MessageCodec;
  /** Of the newest attempt that was asked about; every message of a stage needs the same. */
  #known: {
    readonly name: string;
    binding?: AttemptBinding;
    roots?: readonly SignedRoot[];
    neighbourhoods?: Neighbourhoods;
  } = { name: "" };

  constructor(store: RunStore, codec: MessageCodec) {
    this.#store = store;
    this.#codec = codec;
  }

  /** ctx and h1 */
  bindingOf({ key, advertisers }: { key: RoundKey; advertisers: readonly string[] }, planBody: Uint8Array) {
    const known = this.#of(key);
    known.binding ??= {
      context: planContext(planBody),
      advertsDigest: advertsDigest(
        sortAdverts(
          this.#messages(key, "advertise", advertisers).map((bytes) => this.#codec.decodeAdvert(bytes).advert),
        ),
      ),
    };
    return known.binding;
  }

  /** Who masks and shares with whom. */
  neighbourhoodsOf(
    state: { key: RoundKey; advertisers: readonly string[]; rules: Pick<AttemptRules, "colluders"> },
    planBody: Uint8Array,
  ): Neighbourhoods {
    const known = this.#of(state.key);
    known.neighbourhoods ??= neighbourhoodsOf(state.advertisers, {
      colluders: state.rules.colluders,
      advertsDigest: this.bindingOf(state, planBody).advertsDigest,
    });
    return known.neighbourhoods;
  }

  /** U2, sorted, with what each site shared. */
  rootsOf({ key, sharers }: { key: RoundKey; sharers: readonly string[] }): readonly SignedRoot[] {
    const known = this.#of(key);
    known.roots ??= sharers.map((siteId) => {
      const { root, signature } = this.#codec.decodeShares(this.#store.findMessage(key, siteId, "share")!.bytes);
      return { siteId, root, signature };
    });
    return known.roots;
  }

  /** ctx, h1 and h2 */
  sharedBindingOf(state: Extract<RoundState, { sharers: readonly string[] }>, planBody: Uint8Array): SharedBinding {
    return { ...this.bindingOf(state, planBody), sharersDigest: sharersDigest(this.rootsOf(state)) };
  }

  /** U3, sorted, with what each site uploaded. */
  uploadsOf({ key, survivors }: { key: RoundKey; survivors: readonly string[] }): SignedUpload[] {
    return this.#store
      .listUploads(key)
      .filter(({ siteId }) => survivors.includes(siteId))
      .map(({ siteId, sha256, signature }) => ({ siteId, sha256, signature }));
  }

  #messages(key: RoundKey, stage: "advertise", of: readonly string[]): Uint8Array[] {
    return this.#store.listMessages(key, stage).flatMap(({ siteId, bytes }) => (of.includes(siteId) ? [bytes] : []));
  }

  #of(key: RoundKey) {
    const name = roundKeyText(key);
    if (this.#known.name !== name) this.#known = { name };
    return this.#known;
  }
}
