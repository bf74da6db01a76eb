import type { ResizedTensor, WarmStartReport } from "./plan.js";

const shownNames = 4;

/** The report for people: one line for each kind of tensor, and what deserves a second look. */
export function reportLines(report: WarmStartReport): string[] {
  const { container, matched, resized, missing, unexpected } = report;
  return [
    `weights     ${container === "" ? "bare" : `under ${container}`}`,
    `matched     ${matched.length}`,
    `resized     ${resized.length}${resized.length === 0 ? "" : `: ${resized.map(resizedText).join("; ")}`}`,
    `missing     ${missing.length}${listed(missing, "start from the run's seed")}`,
    `unexpected  ${unexpected.length}${listed(unexpected, "not used")}`,
    ...remarks(report).map((remark) => `note: ${remark}`),
  ];
}

function resizedText({ name, from, to, classRowAdded }: ResizedTensor): string {
  const row = classRowAdded ? ", with a row of zeros for the class token" : "";
  return `${name} from ${from} × ${from} to ${to} × ${to} patches${row}`;
}

function listed(names: readonly string[], what: string): string {
  if (names.length === 0) return "";
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : "";
  return `, ${what}: ${names.slice(0, shownNames).join(", ")}${more}`;
}

const layerScale = /(?:\.ls[12]\.gamma|\.layer_scale[12]\.lambda1)$/;
const registers = /(?:^|\.)(?:register_tokens|reg_token)$/;

/** Differences between the file's model and the run's that change what the encoder computes. */
function remarks({ missing, unexpected }: WarmStartReport): string[] {
  const inFile = (pattern: RegExp) => unexpected.some((name) => pattern.test(name));
  return [
    ...(inFile(layerScale) ? ["the file's model has LayerScale; set model.layerScale to keep it"] : []),
    ...(inFile(registers) ? ["the file's model has registers; set model.registers to keep them"] : []),
    ...(missing.some((name) => layerScale.test(name)) ? ["the file's model has no LayerScale; the run's has"] : []),
  ];
}
