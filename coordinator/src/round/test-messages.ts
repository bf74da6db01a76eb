import { createHash } from "node:crypto";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import {
  type Advertisement,
  planContext,
  type Reveal,
  type SealedShares,
  type SignedUpload,
} from "@consilium/shared/protocol.js";
import { advertsDigest, signAdvert } from "@consilium/shared/secagg/adverts.js";
import { merkleTree } from "@consilium/shared/secagg/merkle.js";
import {
  shareLeaf,
  sharersDigest,
  shareSignatureInput,
  survivorsDigest,
  survivorsSignatureInput,
  uploadSignatureInput,
} from "@consilium/shared/secagg/transcript.js";

/** For tests: what sites send in an attempt, well formed and signed, with secrets of no meaning. A function of its sets. */

export const sites = ["a", "b", "c"];
export const identities = new Map(sites.map((site) => [site, IdentityKey.generate()]));

/** Who is in which list; by default everyone. */
export interface Lists {
  readonly advertisers?: readonly string[];
  readonly sharers?: readonly string[];
  readonly survivors?: readonly string[];
}

/** Deterministic in site and plan, so that a repeated call has the same bytes. */
export function advertOf(siteId: string, body: Uint8Array) {
  const filled = (label: number) => new Uint8Array(32).fill(siteId.charCodeAt(0) * 3 + label);
  const fields = { siteId, maskPublicKey: filled(0), sealPublicKey: filled(1), selfCommitment: filled(2) };
  return signAdvert(planContext(body), { ...fields, nonce: filled(0) }, identities.get(siteId)!);
}

/** The messages of one attempt with this plan. */
export class AttemptMessages {
  readonly #body: Uint8Array;
  readonly #words: number;
  readonly #lists: Required<Lists>;

  constructor(plan: { readonly body: Uint8Array; readonly words: number }, lists: Lists = {}) {
    const { advertisers = sites, sharers = advertisers, survivors = sharers } = lists;
    this.#body = plan.body;
    this.#words = plan.words;
    this.#lists = { advertisers, sharers, survivors };
  }

  advertise(siteId: string): Advertisement {
    return { advert: advertOf(siteId, this.#body), aborts: [] };
  }

  share(siteId: string): SealedShares {
    const others = this.#lists.advertisers.filter((site) => site !== siteId);
    const sealed = others.map((toSite) => ({ fromSite: siteId, toSite, ciphertext: new Uint8Array(60) }));
    const { root, paths } = merkleTree(sealed.map(shareLeaf));
    const signature = this.#sign(siteId, shareSignatureInput(this.#binding, siteId, root));
    return { shares: sealed.map((share, i) => ({ ...share, path: paths[i]! })), root, signature };
  }

  /** The masked vector. */
  vector(siteId: string): Buffer {
    return Buffer.alloc(4 * this.#words, siteId);
  }

  seal(siteId: string, vector: Uint8Array): Uint8Array {
    const sha256 = createHash("sha256").update(vector).digest();
    return this.#sign(siteId, uploadSignatureInput(this.#shared, siteId, { sha256, words: this.#words }));
  }

  confirm(siteId: string): Uint8Array {
    const uploads = this.#lists.survivors.map((site): SignedUpload => {
      const vector = this.vector(site);
      return { siteId: site, sha256: createHash("sha256").update(vector).digest(), signature: this.seal(site, vector) };
    });
    return this.#sign(siteId, survivorsSignatureInput(this.#shared, survivorsDigest(uploads)));
  }

  reveals(): Reveal[] {
    const { sharers, survivors } = this.#lists;
    return sharers.map((aboutSite) => ({
      aboutSite,
      share: {
        $case: survivors.includes(aboutSite) ? "selfShare" : "pairwiseShare",
        value: new Uint8Array(32).fill(1),
      },
    }));
  }

  get #binding() {
    const adverts = this.#lists.advertisers.map((site) => advertOf(site, this.#body));
    return { context: planContext(this.#body), advertsDigest: advertsDigest(adverts) };
  }

  get #shared() {
    const roots = this.#lists.sharers.map((siteId) => ({ siteId, ...this.share(siteId) }));
    return { ...this.#binding, sharersDigest: sharersDigest(roots) };
  }

  #sign(siteId: string, text: Uint8Array): Uint8Array {
    return identities.get(siteId)!.sign(text);
  }
}
