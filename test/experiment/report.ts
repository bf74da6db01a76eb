import type { Spread } from "@consilium/site-agent/eval/linear-probe.js";
import type { EncoderScores, FrozenScores } from "./score.js";

type Scores = FrozenScores & Partial<EncoderScores>;

const nameWidth = 30;
const columnWidth = 15;

const row = (name: string, cells: readonly string[]): string =>
  `${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(columnWidth)).join("")}`.trimEnd();

export const tableHead = row("", ["kNN", "linear", "10 per class", "fine-tuned"]);

const spread = (value: Spread | undefined): string =>
  value === undefined ? "" : `${value.mean.toFixed(3)} ± ${value.deviation.toFixed(3)}`;

/** One line of the table. */
export function scoresRow(name: string, { knn, linear, fewShot, fineTuned }: Scores): string {
  return row(name, [knn.toFixed(3), linear.toFixed(3), spread(fewShot), spread(fineTuned)]);
}

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

/** What training gave, for the table. */
export function gainRow(name: string, before: EncoderScores, after: EncoderScores): string {
  return row(name, [
    signed(after.knn - before.knn),
    signed(after.linear - before.linear),
    signed(after.fewShot.mean - before.fewShot.mean),
    signed(after.fineTuned.mean - before.fineTuned.mean),
  ]);
}
