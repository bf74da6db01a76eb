import { tableLines } from "@consilium/shared/terminal/table.js";
import type { Finding } from "../doctor/finding.js";

/** What `doctor` says on a terminal: a row for each check, then what to do. */
export function findingLines(findings: readonly Finding[]): string[] {
  const remedies = findings.flatMap(({ name, remedy }) => (remedy === undefined ? [] : [`  → ${name}: ${remedy}`]));
  return [
    ...tableLines(
      [{ title: "CHECK" }, { title: "FOUND" }, { title: "DETAIL", maxWidth: 300 }],
      findings.map(({ name, level, message }) => [name, level === "failed" ? "FAILED" : level, message]),
    ),
    ...(remedies.length === 0 ? [] : ["", ...remedies]),
  ];
}
