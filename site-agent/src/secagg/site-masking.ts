import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
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
  readonly roundingKey: Uint8Array;
}

/** Parameters first, then lanes; the clipped lane counts what the parameters before it met, so words go in order. */
function encoderFor({ facts, tensors, advertisers, contribution, roundingKey }: EncodingInput): EncodeWords {
  const { dimension, lanes, weightCap } = facts;
  const { ringBound } = advertisers;
  const weight = Math.min(contribution.sampleCount, weightCap);
  const encoding = { tensors, weightShare: weight / weightCap, ringBound, roundingKey };
  const [laneRandom = new Int32Array(0)] = keystreamChunks(roundingKey, dimension, lanes.length);
  let clipped = 0;
  return (words, firstWord) => {
    const parameters = Math.max(0, Math.min(words.length, dimension - firstWord));
    clipped += encodeDelta(contribution.delta, firstWord, words.subarray(0, parameters), encoding);
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
  const roundingKey = entropy.bytes(secretBytes);
  return MaskedUpload.mask({
    words: facts.dimension + facts.lanes.length,
    encoder: () => encoderFor({ facts, tensors, advertisers, contribution, roundingKey }),
    selfKey: selfMaskKey(advertisers.binding, siteId, secrets.selfSecret),
    pairwise: advertisers.neighbourhoods
      .neighboursOf(siteId)
      .filter((other) => sharers.includes(other))
      .map((other) => ({
        key: pairMaskKey(advertisers.binding, mine, advertOf(advertisers, other)),
        sign: pairSign(siteId, other),
      })),
    seal,
  });
}
