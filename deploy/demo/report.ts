import type { Scorecard } from "./evaluate.js";

export interface Arm {
  readonly name: string;
  readonly score: Scorecard;
}

const three = (value: number): string => value.toFixed(3);

/** One row per encoder, columns aligned. */
export function tableOf(arms: readonly Arm[], labelsPerClass: number): string[] {
  const rows = [
    ["features", "kNN bal. acc.", "kNN macro-F1", `probe, ${labelsPerClass} per class`],
    ...arms.map(({ name, score }) => [
      name,
      three(score.knnBalancedAccuracy),
      three(score.knnMacroF1),
      `${three(score.probe.mean)} ± ${three(score.probe.deviation)}`,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("   ")
      .trimEnd(),
  );
}

/** Mean over several encoders of each score. The probe's spread is the mean of theirs. */
export function meanScore(scores: readonly Scorecard[]): Scorecard {
  const mean = (of: (score: Scorecard) => number) => scores.reduce((sum, score) => sum + of(score), 0) / scores.length;
  return {
    knnBalancedAccuracy: mean((score) => score.knnBalancedAccuracy),
    knnMacroF1: mean((score) => score.knnMacroF1),
    probe: { mean: mean((score) => score.probe.mean), deviation: mean((score) => score.probe.deviation) },
  };
}
