import { tableLines } from "@consilium/shared/terminal/table.js";
import type { RoundRecord } from "../round/progress.js";

/** Names in a record, and what a table calls them; figures of another version have no place. */
const titles = {
  featureSpread: "SPREAD",
  effectiveRank: "RANK",
  teacherEntropy: "ENTROPY",
  teacherKl: "KL",
  dino: "DINO",
  ibot: "IBOT",
  koleo: "KOLEO",
  reconstruction: "RECON",
  contrastive: "CONTRAST",
  pixels: "PIXELS",
  histogram: "HISTOGRAM",
  proximal: "PROXIMAL",
  updateNorm: "NORM",
  aggregateNorm: "MEAN NORM",
  cosine: "COSINE",
} as const;

type Shown = keyof typeof titles;
const order = Object.keys(titles) as Shown[];

/** A table of what the run watched, one line for a round; nothing where no round has a figure. */
export function figureTable(history: readonly RoundRecord[]): string[] {
  const shown = order.filter((name) => history.some(({ figures }) => figures[name] !== undefined));
  if (shown.length === 0) return [];
  return tableLines(
    [{ title: "ROUND", align: "right" }, ...shown.map((name) => ({ title: titles[name], align: "right" as const }))],
    history.map(({ round, figures }) => [String(round), ...shown.map((name) => figureText(figures[name]))]),
  );
}

/** What a glance needs of a round: "spread 0.61, rank 14.2, norm 1.9, cosine 0.43"; "" without figures. */
export function figureGlance({ figures }: RoundRecord): string {
  const glances = ["featureSpread", "effectiveRank", "teacherEntropy", "teacherKl", "updateNorm", "cosine"] as const;
  return glances
    .filter((name) => figures[name] !== undefined)
    .map((name) => `${name === "teacherKl" ? "KL" : titles[name].toLowerCase()} ${figureText(figures[name])}`)
    .join(", ");
}

/** Three significant digits; "–" when there is none. */
function figureText(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? "–" : String(Number(value.toPrecision(3)));
}
