import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import { isVit, type ModelConfig, type ResnetConfig, type VitConfig } from "@consilium/shared/config/model-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { viewPlan } from "../data/view-plan.js";
import { greenChannel } from "../model/green.js";
import { linear, parameterOf } from "../model/layers.js";
import { patchify } from "../model/patches.js";
import { channelDeviation, channelMean } from "../model/pixel-scale.js";
import { resnet } from "../model/resnet.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { meanPatchTokens, patchTokens } from "../model/tokens.js";
import { unetDecoder } from "../model/unet.js";
import { encode } from "../model/vit.js";
import { branchInputs, branchScalesOf } from "./branch-scales.js";
import { carriedState } from "./carried.js";
import { histogramLoss, redBlueHistogram } from "./colour-histogram.js";
import type { MethodContext, SslMethod } from "./method.js";
import { effectiveRank, featureSpread } from "./monitors.js";

interface Seen {
  readonly parameters: NamedTensors;
  readonly carried: NamedTensors;
  /** Normalised: [batch, size, size, 3]. */
  readonly images: Tensor;
  /** Of a transformer, as `encode` has them. */
  readonly branchScales?: Tensor;
}

interface Guess {
  /** [batch, width] */
  readonly features: Tensor2D;
  /** Red and blue of every pixel, in an order of its own: [batch, pixels, 2]. */
  readonly colours: Tensor;
  /** The images in the same order: [batch, pixels, 3], 0 … 1. */
  readonly truth: Tensor;
  readonly observed: NamedTensors;
}

/** Normalised pixels [..., 3] back to 0 … 1. */
function unnormalized(images: Tensor): Tensor {
  return tf.add(tf.mul(images, tf.tensor1d([...channelDeviation])), tf.tensor1d([...channelMean]));
}

/** Every patch's colours from its token. */
function guessByPatch(model: VitConfig, seen: Seen): Guess {
  const { parameters, images } = seen;
  const tokens = encode({ model, ...seen });
  const patches = patchTokens(tokens, model.registers);
  const [batch] = patches.shape;
  return {
    features: meanPatchTokens(tokens, model.registers),
    colours: tf.reshape(linear(patches, { parameters, name: "decoder.colours" }), [batch, -1, 2]),
    truth: tf.reshape(patchify(unnormalized(images), model.patchSize), [batch, -1, 3]),
    observed: {},
  };
}

/** A U-Net on a residual network. */
function guessByPixel(model: ResnetConfig, { parameters, carried, images }: Seen): Guess {
  const { architecture } = model;
  const green = greenChannel(images);
  const output = resnet({ architecture, parameters, statistics: carried, images: green, mode: "training" });
  const batch = images.shape[0] ?? 0;
  return {
    features: output.features,
    colours: tf.reshape(unetDecoder(output.stages, parameters), [batch, -1, 2]),
    truth: tf.reshape(unnormalized(images), [batch, -1, 3]),
    observed: output.statistics,
  };
}

/** How often a residual network halves the image. */
const halvings = 5;

function checkSize(model: ModelConfig): void {
  if (isVit(model) || model.imageSize % 2 ** halvings === 0) return;
  throw new ConsiliumError("config-invalid", `imageSize ${model.imageSize} cannot be halved ${halvings} times`, {
    remedy: "choose a multiple of 32 for ColorMe on a residual network",
  });
}

/** Column of red or blue: [batch, pixels, channels] → [batch, pixels]. */
function channelOf(x: Tensor, channel: number): Tensor2D {
  const [batch = 0, pixels = 0] = x.shape;
  return tf.reshape(tf.slice(x, [0, 0, channel], [batch, pixels, 1]), [batch, pixels]);
}

/** Mean squared error over all three channels, of which green, which is given, has none. */
export function colourError({ colours, truth }: Pick<Guess, "colours" | "truth">): Scalar {
  const red = tf.sub(channelOf(colours, 0), channelOf(truth, 0));
  const blue = tf.sub(channelOf(colours, 1), channelOf(truth, 2));
  const squares = tf.add(tf.sum(tf.square(red)), tf.sum(tf.square(blue)));
  return tf.div(squares, truth.size) as Scalar;
}

/**
 * ColorMe (Li et al. 2020): from the green channel alone, an encoder and a decoder restore red and blue, and a second head
 * tells how these are distributed. On a vision transformer each patch's token is decoded by itself.
 * @throws ConsiliumError "config-invalid" for an image that a U-Net cannot halve
 */
export function colorme(model: ModelConfig, config: MethodOf<"colorme">, context: MethodContext): SslMethod {
  checkSize(model);
  return {
    name: "colorme",
    views: viewPlan({ model, method: config }),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    ...(isVit(model) ? {} : { carried: carriedState({ model, method: config, ...context }) }),
    ...branchInputs(model, 1),
    loss(parameters, batch, carried) {
      const seen = { parameters, carried, images: parameterOf(batch, "view"), ...branchScalesOf(batch) };
      const guess = isVit(model) ? guessByPatch(model, seen) : guessByPixel(model, seen);
      const pixels = colourError(guess);
      const target = redBlueHistogram(channelOf(guess.truth, 0), channelOf(guess.truth, 2));
      const histogram = histogramLoss(target, linear(guess.features, { parameters, name: "histogram" }));
      const { pixelWeight, histogramWeight } = config;
      return {
        loss: tf.add(tf.mul(pixels, pixelWeight), tf.mul(histogram, histogramWeight)),
        terms: {
          ...{ pixels, histogram },
          featureSpread: featureSpread(guess.features),
          effectiveRank: effectiveRank(guess.features),
        },
        observed: guess.observed,
      };
    },
  };
}
