import { ConsiliumError } from "@consilium/shared/errors.js";
import type { KeyAdvert } from "@consilium/shared/protocol.js";
import {
  type AttemptBinding,
  agreementKey,
  commitSelfSecret,
  pairMaskKey,
  pairSign,
  publicKeyOf,
  selfMaskKey,
} from "@consilium/shared/secagg/key-agreement.js";
import type { PairwiseMask } from "@consilium/shared/secagg/masked-upload.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import { collectShares, type HeldShare, type Revelation } from "./collect-shares.js";
import { recoverSecret, WeightCache } from "./recover-secret.js";

/** The sum cannot be unmasked. `suspects` are the sites that the next attempt should do without, if they are known. */
export class UnmaskFailedError extends ConsiliumError {
  readonly suspects: readonly string[];

  constructor(message: string, suspects: readonly string[]) {
    super("share-invalid", message, { remedy: "the round is tried again; sites that repeat this are left out" });
    this.suspects = suspects;
  }
}

export interface UnmaskingInput extends Revelation {
  readonly binding: AttemptBinding;
}

export interface RemainingMasks {
  /** Each mask that is left in the sum of the survivors' vectors, with the sign it has there. */
  readonly masks: readonly PairwiseMask[];
  /** Sites that revealed something false, sorted. */
  readonly blamed: readonly string[];
}

/** Reconstructs the self secret of a survivor, or the mask secret of a site that dropped after sharing. */
class SecretSource {
  readonly #input: UnmaskingInput;
  readonly #shares: ReadonlyMap<string, HeldShare[]>;
  readonly #cache = new WeightCache();
  readonly blamed: Set<string>;

  constructor(input: UnmaskingInput) {
    this.#input = input;
    const { shares, blamed } = collectShares(input);
    this.#shares = shares;
    this.blamed = blamed;
  }

  selfSecretOf({ siteId, selfCommitment }: KeyAdvert): Buffer {
    const { context } = this.#input.binding;
    return this.#recover(siteId, (secret) => sameBytes(commitSelfSecret(context, siteId, secret), selfCommitment));
  }

  maskSecretOf({ siteId, maskPublicKey }: KeyAdvert): Buffer {
    return this.#recover(siteId, (secret) => sameBytes(publicKeyOf(secret), maskPublicKey));
  }

  #recover(siteId: string, matches: (secret: Buffer) => boolean): Buffer {
    const { survivors, neighbourhoods } = this.#input;
    const { threshold } = neighbourhoods;
    const holders = new Set(neighbourhoods.holdersOf(siteId));
    const shares = this.#shares.get(siteId) ?? [];
    if (shares.length < threshold) {
      const used = new Set(shares.map((share) => share.holder));
      const absent = survivors.filter((site) => holders.has(site) && !used.has(site));
      throw new UnmaskFailedError(`${shares.length} of ${threshold} needed shares of site ${siteId} came`, absent);
    }
    const recovery = recoverSecret({ shares, threshold, matches, distrusted: this.blamed, cache: this.#cache });
    if (recovery === undefined) {
      // With shares to spare, the dealer is likelier to have lied than many holders.
      const suspects = shares.length > threshold ? [siteId] : [];
      throw new UnmaskFailedError(`the ${shares.length} shares of site ${siteId} do not give its secret`, suspects);
    }
    for (const liar of recovery.liars) this.blamed.add(liar);
    return recovery.secret;
  }
}

/**
 * What must be taken off the survivors' sum: their self masks, and the pairwise masks with sites that dropped after
 * sharing.
 * @throws UnmaskFailedError when too few true shares came
 */
export function remainingMasks(input: UnmaskingInput): RemainingMasks {
  const { adverts, sharers, survivors, binding, neighbourhoods } = input;
  const source = new SecretSource(input);
  const byId = new Map(adverts.map((advert) => [advert.siteId, advert]));
  const advertsOf = (sites: readonly string[]) => sites.flatMap((site) => byId.get(site) ?? []);
  const survived = new Set(survivors);
  const living = advertsOf(survivors);
  const masks: PairwiseMask[] = living.map((advert) => {
    const secret = source.selfSecretOf(advert);
    const key = selfMaskKey(binding, advert.siteId, secret);
    secret.fill(0);
    return { key, sign: 1 };
  });
  for (const lost of advertsOf(sharers.filter((site) => !survived.has(site)))) {
    const maskSecret = source.maskSecretOf(lost);
    const mine = { siteId: lost.siteId, maskSecret: agreementKey(maskSecret) };
    const neighbours = new Set(neighbourhoods.neighboursOf(lost.siteId));
    for (const other of living.filter(({ siteId }) => neighbours.has(siteId))) {
      masks.push({ key: pairMaskKey(binding, mine, other), sign: pairSign(other.siteId, lost.siteId) });
    }
    maskSecret.fill(0);
  }
  return { masks, blamed: [...source.blamed].sort() };
}
