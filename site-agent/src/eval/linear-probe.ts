import { randomFor } from "@consilium/shared/random.js";
import { type FeatureSet, joinRows, selectRows } from "./feature-set.js";
import { sampleLabels } from "./few-shot.js";
import { predictLogistic, trainLogistic } from "./logistic.js";
import { type Labels, type Scores, scoreAll } from "./metrics.js";
import { inSpanOf, standardisedBy } from "./span.js";

/** Frozen features with labels, and features to be judged on. Labels are 0 … classes - 1. */
export interface ProbeJob {
  readonly train: FeatureSet;
  readonly trainLabels: Labels;
  readonly test: FeatureSet;
  readonly testLabels: Labels;
  readonly classes: number;
  /** As in scikit-learn; absent: 1. */
  readonly inverseRegularisation?: number;
}

/** A linear classifier on standardised frozen features, judged on the test features. */
export function linearProbe({ train, trainLabels, test, testLabels, ...options }: ProbeJob): Scores {
  const standard = standardisedBy(train, train);
  const spanned = inSpanOf(standard, standardisedBy(train, test));
  const model = trainLogistic(spanned.train, trainLabels, options);
  return scoreAll(testLabels, predictLogistic(model, spanned.queries));
}

export interface ChosenProbeJob extends Omit<ProbeJob, "inverseRegularisation"> {
  readonly val: FeatureSet;
  readonly valLabels: Labels;
  /** Inverse regularisations to choose from. */
  readonly strengths: readonly number[];
}

export interface ChosenProbe extends Scores {
  readonly inverseRegularisation: number;
}

/**
 * The probe with the inverse regularisation that gives the best balanced accuracy on the validation features, the first
 * among equals; judged on the test features.
 */
export function chosenProbe(job: ChosenProbeJob): ChosenProbe {
  const { train, trainLabels, val, valLabels, test, testLabels, classes, strengths } = job;
  const queries = standardisedBy(train, joinRows(val, test));
  const spanned = inSpanOf(standardisedBy(train, train), queries);
  const tried = strengths.map((inverseRegularisation) => {
    const model = trainLogistic(spanned.train, trainLabels, { classes, inverseRegularisation });
    const scores = predictLogistic(model, spanned.queries);
    const split = val.count * classes;
    return {
      inverseRegularisation,
      onVal: scoreAll(valLabels, scores.subarray(0, split)).balancedAccuracy,
      onTest: scoreAll(testLabels, scores.subarray(split)),
    };
  });
  const best = tried.reduce((most, one) => (one.onVal > most.onVal ? one : most));
  return { ...best.onTest, inverseRegularisation: best.inverseRegularisation };
}

export interface FewShotJob extends ProbeJob {
  readonly labelsPerClass: number;
  /** Independent draws of labelled images. */
  readonly resamples: number;
  readonly seed: number;
}

export interface Spread {
  readonly mean: number;
  /** Standard deviation over the draws, with one degree of freedom taken; 0 for a single draw. */
  readonly deviation: number;
}

/** Of several draws. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) };
}

/**
 * The probe on a few labels per class, drawn anew each time.
 * @throws ConsiliumError "not-enough-data" when a class has fewer labels
 */
export function fewShotProbe({ labelsPerClass, resamples, seed, ...job }: FewShotJob): Record<keyof Scores, Spread> {
  const draws = Array.from({ length: resamples }, (_, index) => {
    const rows = sampleLabels(job.trainLabels, labelsPerClass, randomFor("few-shot", seed, labelsPerClass, index));
    const trainLabels = Int32Array.from(rows, (row) => job.trainLabels[row]!);
    return linearProbe({ ...job, train: selectRows(job.train, rows), trainLabels });
  });
  const over = (score: keyof Scores) => spreadOf(draws.map((scores) => scores[score]));
  return {
    accuracy: over("accuracy"),
    balancedAccuracy: over("balancedAccuracy"),
    macroF1: over("macroF1"),
    macroAuroc: over("macroAuroc"),
  };
}
