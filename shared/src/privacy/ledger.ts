import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { canonicalJson } from "../canonical-json.js";
import { ConsiliumError } from "../errors.js";
import { epsilonFromLoss, privacyLoss } from "./pld.js";
import { composeRdp, epsilonFromRdp, orderGridVersion, type RdpEpsilon, rdpCurve } from "./rdp.js";
import { skellamRdpCurve } from "./skellam.js";

/**
 * What training has spent of a data set's privacy. The history of mechanisms is kept and ε recomputed from it, never
 * stored: a better accountant then serves old runs too. Entries are only ever added. A run is charged before its noisy
 * update leaves, so an attempt that failed after that has still been paid for. Where the ledger lies, and that it is on
 * the disk before anything leaves, is the holder's duty.
 */

const entryId = z.string().regex(/^[A-Za-z0-9._:/-]{1,200}$/);
const steps = z.int().min(1);
const noiseMultiplier = z.number().positive();

const entrySchema = z.discriminatedUnion("mechanism", [
  z.strictObject({
    /** Names one release, such as run/round/attempt; the same name is charged once. */
    id: entryId,
    mechanism: z.literal("sampled-gaussian"),
    noiseMultiplier,
    samplingRate: z.number().positive().max(1),
    steps,
    orderGrid: z.literal(orderGridVersion),
  }),
  z.strictObject({
    id: entryId,
    mechanism: z.literal("skellam"),
    noiseMultiplier,
    scale: z.number().positive(),
    dimension: z.int().min(1),
    steps,
    orderGrid: z.literal(orderGridVersion),
  }),
]);

const ledgerSchema = z.strictObject({
  version: z.literal(1),
  dataSet: z.string().min(1).max(200),
  /** Whom the guarantee protects: neighbours differ by one of these. */
  unit: z.enum(["patient", "site"]),
  budget: z.strictObject({ epsilon: z.number().positive(), delta: z.number().gt(0).lt(1) }),
  entries: z.array(entrySchema),
});

export type LedgerEntry = Readonly<z.infer<typeof entrySchema>>;
export type PrivacyBudget = Readonly<z.infer<typeof ledgerSchema>["budget"]>;

export interface PrivacyLedger {
  readonly version: 1;
  readonly dataSet: string;
  readonly unit: "patient" | "site";
  readonly budget: PrivacyBudget;
  readonly entries: readonly LedgerEntry[];
}

/** @throws ConsiliumError "config-invalid" for a budget that cannot be */
export function openLedger(opening: Pick<PrivacyLedger, "dataSet" | "unit" | "budget">): PrivacyLedger {
  return checked(ledgerSchema, { ...opening, version: 1, entries: [] });
}

/** ε of the whole history at the budget's δ, by Rényi accounting; zero for an empty one. */
export function spent({ budget, entries }: Pick<PrivacyLedger, "budget" | "entries">): RdpEpsilon {
  return epsilonFromRdp(composeRdp(merged(entries).map(curveOf)), budget.delta);
}

/** Releases of one mechanism as a single one with all their steps: a long history has few different ones. */
function merged(entries: readonly LedgerEntry[]): LedgerEntry[] {
  const byMechanism = new Map<string, LedgerEntry>();
  for (const entry of entries) {
    const key = canonicalJson({ ...entry, id: undefined, steps: undefined });
    const earlier = byMechanism.get(key)?.steps ?? 0;
    byMechanism.set(key, { ...entry, steps: earlier + entry.steps });
  }
  return [...byMechanism.values()];
}

function curveOf(entry: LedgerEntry): number[] {
  return entry.mechanism === "skellam" ? skellamRdpCurve(entry) : rdpCurve(entry);
}

/**
 * ε of the history by loss distributions, for reports: tighter and slower. Undefined where a mechanism has none.
 */
export function spentByLoss({ budget, entries }: Pick<PrivacyLedger, "budget" | "entries">): number | undefined {
  const mechanisms = merged(entries);
  const sampled = mechanisms.filter((entry) => entry.mechanism === "sampled-gaussian");
  return sampled.length === mechanisms.length ? epsilonFromLoss(privacyLoss(sampled), budget.delta) : undefined;
}

/**
 * The ledger with one more entry. The same entry again changes nothing, so a retry after a crash is not charged twice.
 * @throws ConsiliumError "policy-refused" when the history would cost more than the budget, "message-conflict" when the
 * id stands for another mechanism already, "config-invalid" for an entry that cannot be
 */
export function charge(ledger: PrivacyLedger, added: LedgerEntry): PrivacyLedger {
  const entry = checked(entrySchema, added);
  const earlier = ledger.entries.find(({ id }) => id === entry.id);
  if (earlier !== undefined) {
    if (isDeepStrictEqual(earlier, entry)) return ledger;
    throw new ConsiliumError("message-conflict", `release ${entry.id} was charged with other settings already`, {
      remedy: "give each release an id of its own",
    });
  }
  const after: PrivacyLedger = { ...ledger, entries: [...ledger.entries, entry] };
  const { epsilon, delta } = ledger.budget;
  const cost = spent(after).epsilon;
  if (cost <= epsilon) return after;
  const now = spent(ledger).epsilon;
  throw new ConsiliumError(
    "policy-refused",
    `the release would raise what is spent from ε ${now.toFixed(3)} to ${cost.toFixed(3)} at δ ${delta}, over the budget of ${epsilon}`,
    { remedy: "train with more noise or fewer steps, or let who owns the data decide on a larger budget" },
  );
}

/** The same history under another budget; a smaller one than is spent refuses every further release. */
export function withBudget(ledger: PrivacyLedger, budget: PrivacyBudget): PrivacyLedger {
  return checked(ledgerSchema, { ...ledger, budget });
}

/** Equal ledgers have equal bytes. */
export function serializeLedger(ledger: PrivacyLedger): string {
  return canonicalJson(ledger);
}

/** @throws ConsiliumError "input-unreadable" for text that is not exactly a ledger as it is written here */
export function parseLedger(text: string): PrivacyLedger {
  const ledger = ledgerSchema.safeParse(parseJson(text)).data;
  const ids = new Set(ledger?.entries.map(({ id }) => id));
  if (ledger !== undefined && ids.size === ledger.entries.length && serializeLedger(ledger) === text) return ledger;
  throw new ConsiliumError("input-unreadable", "the privacy ledger is damaged or from another version", {
    remedy: "restore it from a copy; a new one would forget what is spent",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ConsiliumError("config-invalid", `privacy ledger, ${issue?.path.join(".")}: ${issue?.message}`);
}
