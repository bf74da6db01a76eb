import type { FeatureSet } from "./feature-set.js";
import type { Labels } from "./metrics.js";
import { minimise, type Objective } from "./minimise.js";

export interface LogisticOptions {
  readonly classes: number;
  /** As in scikit-learn: the sum of losses counts C times against half the squared weights. Absent: 1. */
  readonly inverseRegularisation?: number;
  readonly maxIterations?: number;
}

/** Linear classifier. */
export interface LogisticModel {
  readonly classes: number;
  /** [classes, width + 1], each row's last value being the bias. */
  readonly weights: Float64Array;
}

/** Logits of one row into `out` [classes]. */
function logits(row: Float64Array, weights: Float64Array, out: Float64Array): void {
  const stride = row.length + 1;
  for (let label = 0; label < out.length; label++) {
    let sum = weights[label * stride + row.length]!;
    for (let column = 0; column < row.length; column++) sum += weights[label * stride + column]! * row[column]!;
    out[label] = sum;
  }
}

/** Logits to probabilities in place; returns the logarithm of their sum before. */
function softmax(values: Float64Array): number {
  const most = values.reduce((left, right) => Math.max(left, right), -Infinity);
  let total = 0;
  for (let index = 0; index < values.length; index++) {
    values[index] = Math.exp(values[index]! - most);
    total += values[index]!;
  }
  for (let index = 0; index < values.length; index++) values[index]! /= total;
  return most + Math.log(total);
}

interface Problem {
  /** [count, width] */
  readonly rows: Float64Array;
  readonly width: number;
  readonly labels: Labels;
  readonly classes: number;
  /** On half the squared weights, biases excepted, beside the mean loss. */
  readonly penalty: number;
}

/** Mean cross entropy plus penalty. */
function objectiveOf({ rows, width, labels, classes, penalty }: Problem): Objective {
  const count = labels.length;
  const stride = width + 1;
  const scores = new Float64Array(classes);
  return (weights, gradient) => {
    gradient.fill(0);
    let loss = 0;
    for (let row = 0; row < count; row++) {
      const features = rows.subarray(row * width, (row + 1) * width);
      logits(features, weights, scores);
      const wanted = scores[labels[row]!]!;
      loss += (softmax(scores) - wanted) / count;
      scores[labels[row]!]! -= 1;
      for (let label = 0; label < classes; label++) {
        const error = scores[label]! / count;
        for (let column = 0; column < width; column++) gradient[label * stride + column]! += error * features[column]!;
        gradient[label * stride + width]! += error;
      }
    }
    for (let at = 0; at < weights.length; at++) {
      if (at % stride === width) continue;
      loss += (penalty / 2) * weights[at]! ** 2;
      gradient[at]! += penalty * weights[at]!;
    }
    return loss;
  };
}

/** Multinomial logistic regression with L2 penalty, on features as they are. */
export function trainLogistic(train: FeatureSet, labels: Labels, options: LogisticOptions): LogisticModel {
  const { classes, inverseRegularisation = 1, maxIterations = 200 } = options;
  const objective = objectiveOf({
    rows: Float64Array.from(train.values),
    width: train.width,
    labels,
    classes,
    penalty: 1 / (inverseRegularisation * train.count),
  });
  const start = new Float64Array(classes * (train.width + 1));
  const { point } = minimise(objective, start, { maxIterations, gradientTolerance: 1e-5 });
  return { classes, weights: point };
}

/** Probabilities [count, classes]. */
export function predictLogistic(model: LogisticModel, features: FeatureSet): Float64Array {
  const rows = Float64Array.from(features.values);
  const { width, count } = features;
  const scores = new Float64Array(count * model.classes);
  for (let row = 0; row < count; row++) {
    const out = scores.subarray(row * model.classes, (row + 1) * model.classes);
    logits(rows.subarray(row * width, (row + 1) * width), model.weights, out);
    softmax(out);
  }
  return scores;
}
