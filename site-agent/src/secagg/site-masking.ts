import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { drawNoisyKeys, type NoisyKeys, noisyEncoder } from "@consilium/shared/privacy/noisy-vector.js";
import { agreementKey, pairMaskKey, pairSign, selfMaskKey } from "@consilium/shared/secagg/key-agreement.js";
import { encodeLane, type SiteLanes } from "@consilium/shared/secagg/lanes.js";
import { keystreamChunks } from "@consilium/shared/secagg/mask.js";
import { type EncodeWords, MaskedUpload, type MaskingInput } from "@consilium/shared/secagg/masked-upload.js";
import { secretBytes } from "@consilium/shared/secagg/protocol.js";
import { type ClippedTensor, clippedTensors, encodeDelta } from "@consilium/shared/secagg/quantize.js";
import type { Contribution } from "../update/delta.js";
import { type Advertisers, advertOf } from "./advertisers.js";
import type { PlanFacts } from "./plan-facts.js";
import type { AttemptSecrets } from "./site-keys.js";

/**
 * @returns the tensors with their clips
 * @throws ConsiliumError "update-invalid" for a contribution that does not fit the plan
 */
function requireContribution(contribution: Contribution, facts: PlanFacts): ClippedTensor[] {
  const { delta, tensorSizes, sampleCount, meanLoss, steps } = contribution;
  const placed = tensorSizes.reduce((sum, size) => sum + size, 0);
  // site-check: contribution-dimension
  if (delta.length !== facts.dimension || placed !== facts.dimension) {
    throw new ConsiliumError("update-invalid", `the delta has ${delta.length} values; the plan has ${facts.dimension}`);
  }
  // site-check: contribution-weight
  if (!Number.isSafeInteger(sampleCount) || sampleCount < 1) {
    throw new ConsiliumError("update-invalid", `${sampleCount} images give no weight`, {
      remedy: "take part only with at least one image",
    });
  }
  // site-check: contribution-figures
  if (!Number.isFinite(meanLoss) || !Number.isSafeInteger(steps) || steps < 0) {
    throw new ConsiliumError("update-invalid", `mean loss ${meanLoss} over ${steps} steps cannot be summed`);
  }
  return clippedTensors(tensorSizes, facts.tensorClips);
}

interface EncodingInput {
  readonly facts: PlanFacts;
  readonly tensors: readonly ClippedTensor[];
  readonly advertisers: Advertisers;
  readonly contribution: Contribution;
  readonly keys: EncodingKeys;
}

/** The noise's key is there where the run hides sites. */
type EncodingKeys = Pick<NoisyKeys, "rounding"> & Partial<Pick<NoisyKeys, "noise">>;

function drawKeys({ delta, noise }: Contribution, entropy: Entropy): EncodingKeys {
  return noise === undefined ? { rounding: entropy.bytes(secretBytes) } : drawNoisyKeys(delta, noise, entropy);
}

type EncodeParameters = (words: Uint32Array, firstWord: number) => number;

/** @returns an encoder of the parameters that says how many coordinates it clipped */
function parameterEncoder({ facts, tensors, advertisers, contribution, keys }: EncodingInput): EncodeParameters {
  const { delta, noise, sampleCount } = contribution;
  if (noise === undefined) {
    const weightShare = Math.min(sampleCount, facts.weightCap) / facts.weightCap;
    const encoding = { tensors, weightShare, ringBound: advertisers.ringBound, roundingKey: keys.rounding };
    return (words, firstWord) => encodeDelta(delta, firstWord, words, encoding);
  }
  if (keys.noise === undefined) throw new ConsiliumError("internal", "the update was to leave without its noise");
  const encode = noisyEncoder(delta, noise, { rounding: keys.rounding, noise: keys.noise });
  return (words, firstWord) => {
    encode(words, firstWord);
    return 0;
  };
}

/** Parameters first, then lanes; the clipped lane counts what the parameters before it met, so words go in order. */
function encoderFor(input: EncodingInput): EncodeWords {
  const { facts, advertisers, contribution, keys } = input;
  const { dimension, lanes, weightCap } = facts;
  const { ringBound } = advertisers;
  const weight = Math.min(contribution.sampleCount, weightCap);
  const encodeParameters = parameterEncoder(input);
  const [laneRandom = new Int32Array(0)] = keystreamChunks(keys.rounding, dimension, lanes.length);
  let clipped = 0;
  return (words, firstWord) => {
    const parameters = Math.max(0, Math.min(words.length, dimension - firstWord));
    clipped += encodeParameters(words.subarray(0, parameters), firstWord);
    const { meanLoss, steps, figures } = contribution;
    const site: SiteLanes = { weight, meanLoss, steps, clipped, figures };
    for (let i = parameters; i < words.length; i++) {
      const lane = firstWord + i - dimension;
      words[i] = encodeLane(lanes[lane]!, site, { weightCap, ringBound, random: laneRandom[lane]! });
    }
  };
}

/**
 * y_u: the encoded contribution under the site's self mask and one pairwise mask for every neighbour that shared.
 * @throws ConsiliumError "update-invalid" for a contribution that does not fit the plan
 */
export function maskContribution(
  site: {
    siteId: string;
    secrets: AttemptSecrets;
    facts: PlanFacts;
    advertisers: Advertisers;
    sharers: readonly string[];
    /** Signs for the words with this digest. */
    seal: MaskingInput["seal"];
  },
  contribution: Contribution,
  entropy: Entropy,
): MaskedUpload {
  const { siteId, secrets, facts, advertisers, sharers, seal } = site;
  const tensors = requireContribution(contribution, facts);
  const mine = { siteId, maskSecret: agreementKey(secrets.maskSecret) };
  const keys = drawKeys(contribution, entropy);
  return MaskedUpload.mask({
    words: facts.dimension + facts.lanes.length,
    encoder: () => encoderFor({ facts, tensors, advertisers, contribution, keys }),
    selfKey: selfMaskKey(advertisers.binding, siteId, secrets.selfSecret),
    pairwise: advertisers.neighbourhoods
      .neighboursOf(siteId)
      .filter((other) => sharers.includes(other))
      .map((other) => ({
        key: pairMaskKey(advertisers.binding, mine, advertOf(advertisers, other)),
        sign: pairSign(siteId, other),
      })),
    secrets: Object.values(keys),
    seal,
  });
}
