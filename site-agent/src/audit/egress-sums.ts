import type { AuditEntry } from "./audit-entry.js";
import type { EgressKind } from "./egress-record.js";

/** One thing that left: a message, an upload, or a sum of small messages. */
export interface Departure {
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly kind: EgressKind;
  readonly run: string | undefined;
  readonly round: number | undefined;
  readonly attempt: number | undefined;
  readonly messages: number;
  readonly bytes: number;
  /** Of an upload: whole, cut (the bytes until then), or unknown (the agent ended meanwhile: at most these bytes). */
  readonly upload: "whole" | "cut" | "unknown" | undefined;
}

/** What left for one run; `run` is absent for what is about none. */
export interface RunEgress {
  readonly run: string | undefined;
  readonly kinds: Readonly<Partial<Record<EgressKind, { readonly messages: number; readonly bytes: number }>>>;
  readonly messages: number;
  readonly bytes: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

type Released = Extract<AuditEntry, { action: "message.released" }>;

/** Everything that left, as the entries of a log tell it, in their order. */
export function departuresIn(entries: Iterable<AuditEntry>): Departure[] {
  const departures: Departure[] = [];
  const open = new Map<string, Released>();
  for (const entry of entries) {
    if (entry.action === "message.released" && entry.object.kind === "upload") {
      const earlier = open.get(entry.corrId);
      if (earlier !== undefined) departures.push(departureOf(earlier, "unknown"));
      open.set(entry.corrId, entry);
      continue;
    }
    if (entry.action === "update.uploaded") open.delete(entry.corrId);
    const departure = simpleDeparture(entry);
    if (departure !== undefined) departures.push(departure);
  }
  for (const entry of open.values()) departures.push(departureOf(entry, "unknown"));
  return departures.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

function simpleDeparture(entry: AuditEntry): Departure | undefined {
  const { ts: at } = entry;
  const none = { run: undefined, round: undefined, attempt: undefined, upload: undefined };
  switch (entry.action) {
    case "message.released":
      return departureOf(entry, undefined);
    case "update.uploaded":
      return {
        ...{ ...entry.object, at, kind: "upload", messages: 1 },
        upload: entry.outcome === "success" ? "whole" : "cut",
      };
    case "traffic.counted":
      return { ...none, ...entry.object, at };
    case "certificate.requested":
      return { ...none, at, kind: "enrol", messages: 1, bytes: entry.object.bytes };
    default:
      return undefined;
  }
}

function departureOf({ object, ts: at }: Released, upload: Departure["upload"]): Departure {
  return { ...object, at, messages: 1, upload };
}

/** Sums per run, in the order in which the runs began. */
export function sumPerRun(departures: readonly Departure[]): RunEgress[] {
  const sums = new Map<string | undefined, RunEgress>();
  for (const { run, kind, messages, bytes, at } of departures) {
    const sum = sums.get(run) ?? { run, kinds: {}, messages: 0, bytes: 0, firstAt: at, lastAt: at };
    const ofKind = sum.kinds[kind] ?? { messages: 0, bytes: 0 };
    sums.set(run, {
      ...sum,
      kinds: { ...sum.kinds, [kind]: { messages: ofKind.messages + messages, bytes: ofKind.bytes + bytes } },
      messages: sum.messages + messages,
      bytes: sum.bytes + bytes,
      lastAt: at,
    });
  }
  return [...sums.values()];
}
