/** The same names with other entries. */
export function mapValues<In, Out>(
  table: Readonly<Record<string, In>>,
  change: (entry: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, change(entry)]));
}
