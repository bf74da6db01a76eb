import { characterCount, clipLine } from "./format.js";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Longest cell shown; longer ones are clipped. */
  readonly maxWidth?: number;
}

/** Aligned columns without borders, the titles first; two spaces between columns and none at the end of a line. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map((column) => column.title), ...rows].map((row) =>
    columns.map((column, index) => clipLine(row[index] ?? "", column.maxWidth ?? 80)),
  );
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => characterCount(row[index]!))));
  return cells.map((row) =>
    row
      .map((cell, index) => pad(cell, widths[index]!, columns[index]!.align))
      .join("  ")
      .trimEnd(),
  );
}

/** "name   value" lines, the names padded to one width. */
export function fieldLines(fields: readonly (readonly [name: string, value: string])[]): string[] {
  const width = Math.max(0, ...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd());
}

function pad(cell: string, width: number, align: Column["align"]): string {
  const space = " ".repeat(width - characterCount(cell));
  return align === "right" ? space + cell : cell + space;
}
