import type { KeyAdvert, Reveal, SealedShare } from "@consilium/shared/protocol.js";
import {
  type AttemptBinding,
  commitSelfSecret,
  pairMaskKey,
  pairSign,
  publicKeyOf,
  selfMaskKey,
} from "@consilium/shared/secagg/key-agreement.js";
import { addMask, subtractMask } from "@consilium/shared/secagg/mask.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import { openShares } from "@consilium/shared/secagg/seal.js";
import { reconstructSecret, type Share } from "@consilium/shared/secagg/shamir.js";

/** Everything that a coordinator sees and stores in an attempt, and all that sites which work with it know. */
export interface Knowledge {
  readonly binding: AttemptBinding;
  /** Sorted by site id. */
  readonly adverts: readonly KeyAdvert[];
  /** U2 */
  readonly sharers: readonly string[];
  readonly sealed: readonly SealedShare[];
  /** Masked vectors by site. */
  readonly vectors: ReadonlyMap<string, Uint8Array>;
  readonly reveals: ReadonlyMap<string, readonly Reveal[]>;
  /** Every random byte string that the colluding sites drew, by site. */
  readonly drawn: ReadonlyMap<string, readonly Uint8Array[]>;
}

type Kind = "selfShare" | "pairwiseShare";

/** Takes off whatever it can: it reconstructs each secret of which it has enough shares, and removes the masks that follow. */
export class Attacker {
  readonly #knows: Knowledge;
  readonly #shares: Record<Kind, Map<string, Map<number, Share>>> = { selfShare: new Map(), pairwiseShare: new Map() };
  /** b_u and s_u that it has. */
  readonly selfSecrets = new Map<string, Uint8Array>();
  readonly maskSecrets = new Map<string, Uint8Array>();
  readonly #opened = new Map<string, Uint32Array>();

  constructor(knows: Knowledge) {
    this.#knows = knows;
    this.#takeColluders();
    for (const [site, reveals] of knows.reveals) this.#takeReveals(site, reveals);
    this.#reconstruct();
  }

  /** The sum of some sites' vectors without the masks that it can take off. */
  residual(sites: readonly string[]): Buffer {
    const [first] = sites;
    const sum = new Uint32Array(this.#knows.vectors.get(first!)!.length / 4);
    for (const site of sites) {
      const words = this.#withoutKnownMasks(site);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! + words[i]!) | 0;
    }
    return Buffer.from(sum.buffer);
  }

  #withoutKnownMasks(site: string): Uint32Array {
    const known = this.#opened.get(site);
    if (known !== undefined) return known;
    const { binding, vectors, sharers } = this.#knows;
    const words = new Uint32Array(Uint8Array.from(vectors.get(site)!).buffer);
    const self = this.selfSecrets.get(site);
    if (self !== undefined) subtractMask(words, { key: selfMaskKey(binding, site, self), firstWord: 0 });
    for (const other of sharers) {
      const key = other === site ? undefined : this.#pairKey(site, other);
      if (key === undefined) continue;
      if (pairSign(site, other) === 1) subtractMask(words, { key, firstWord: 0 });
      else addMask(words, { key, firstWord: 0 });
    }
    this.#opened.set(site, words);
    return words;
  }

  /** Either end's secret is enough. */
  #pairKey(one: string, other: string): Uint8Array | undefined {
    for (const [mine, theirs] of [
      [one, other],
      [other, one],
    ] as const) {
      const maskSecret = this.maskSecrets.get(mine);
      if (maskSecret === undefined) continue;
      return pairMaskKey(
        this.#knows.binding,
        { siteId: mine, maskSecret: Buffer.from(maskSecret) },
        this.#advert(theirs),
      );
    }
    return undefined;
  }

  #advert(site: string): KeyAdvert {
    return this.#knows.adverts.find(({ siteId }) => siteId === site)!;
  }

  #position(site: string): number {
    return this.#knows.adverts.findIndex(({ siteId }) => siteId === site) + 1;
  }

  /** Their own secrets are among what they drew; their seal secret opens what others sealed for them. */
  #takeColluders(): void {
    const { binding, sealed, drawn } = this.#knows;
    for (const [site, draws] of drawn) {
      const advert = this.#advert(site);
      const sealSecret = draws.find(
        (draw) => draw.length === 32 && sameBytes(publicKeyOf(draw), advert.sealPublicKey),
      )!;
      for (const share of sealed.filter(({ toSite }) => toSite === site)) {
        const keys = { sealSecret, theirSealPublicKey: this.#advert(share.fromSite).sealPublicKey };
        const opened = openShares(binding, { share, keys, x: this.#position(site) });
        this.#keep("selfShare", share.fromSite, { x: opened.x, value: opened.selfShare });
        this.#keep("pairwiseShare", share.fromSite, { x: opened.x, value: opened.maskShare });
      }
      for (const draw of draws) this.#recognise(site, draw);
    }
  }

  #takeReveals(site: string, reveals: readonly Reveal[]): void {
    for (const { aboutSite, share } of reveals) {
      this.#keep(share.$case, aboutSite, { x: this.#position(site), value: share.value });
    }
  }

  #keep(kind: Kind, about: string, share: Share): void {
    const shares = this.#shares[kind].get(about) ?? new Map<number, Share>();
    this.#shares[kind].set(about, shares.set(share.x, share));
  }

  #reconstruct(): void {
    for (const kind of ["selfShare", "pairwiseShare"] as const) {
      for (const [about, shares] of this.#shares[kind]) {
        // Fewer than the threshold give something too, only not the secret.
        this.#recognise(about, reconstructSecret([...shares.values()]));
      }
    }
  }

  /** A candidate is what its owner committed to, or published the key of. */
  #recognise(site: string, candidate: Uint8Array): void {
    if (candidate.length !== 32) return;
    const { selfCommitment, maskPublicKey } = this.#advert(site);
    const { context } = this.#knows.binding;
    if (sameBytes(commitSelfSecret(context, site, candidate), selfCommitment)) this.selfSecrets.set(site, candidate);
    if (sameBytes(publicKeyOf(candidate), maskPublicKey)) this.maskSecrets.set(site, candidate);
  }
}
