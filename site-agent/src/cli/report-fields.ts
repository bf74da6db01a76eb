import type { Counts, DataReport } from "../data/data-report.js";

/** What the terminal and the page say first; facts that a source does not have are left out. */
export function reportFields(report: DataReport): [string, string][] {
  const { imagesPerGroup: per, imagesNotChosen } = report;
  const fields: [string, string | undefined][] = [
    [report.source, report.path],
    ["images", `${report.images} readable in ${report.files} files, ${sumOf(report.unreadableByReason)} unreadable`],
    ["formats", counts(report.formats)],
    ["modalities", counts(report.modalities)],
    ["transfer syntaxes", counts(report.transferSyntaxes)],
    ["shorter side", counts(report.shortSides, " pixels")],
    ["labels", counts(report.labels)],
    ["splits", counts(report.splits)],
    ...Object.entries(report.attributes).map(([name, values]): [string, string | undefined] => [name, counts(values)]),
    ["groups", per && `${report.groups}, each of ${per.least} to ${per.most} images, half of them up to ${per.median}`],
    ["equal images", `${report.duplicates.length} groups, ${report.nearDuplicates.length} that look alike`],
    ["excluded", counts(report.excludedByReason)],
    [
      "not chosen",
      imagesNotChosen === undefined ? undefined : `${imagesNotChosen} images, ${report.otherFiles} other files`,
    ],
    ["an epoch", `${report.stepsPerEpoch} steps of ${report.batchSize} images`],
  ];
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]]));
}

export const sumOf = (counts: Counts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

function counts(of: Counts, unit = ""): string | undefined {
  const entries = Object.entries(of);
  return entries.length === 0 ? undefined : `${entries.map(([name, count]) => `${name}: ${count}`).join(", ")}${unit}`;
}
