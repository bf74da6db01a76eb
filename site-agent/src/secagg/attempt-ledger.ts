import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { z } from "zod";
import { contradiction, ProtocolRefusal } from "./refusal.js";

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const attemptSchema = z.strictObject({
  attempt: count,
  /** ctx of its plan. */
  context: hexDigest,
  /** How far this site went, noted before it went there. */
  stage: z.enum(["advertised", "uploaded", "confirmed"]),
  /** Whether this site has said that it will never confirm anything in this attempt. */
  aborted: z.boolean(),
  /** Whether this site has seen proof that nobody's survivors can be confirmed. */
  certified: z.boolean(),
  /** From the upload on: the advertisers U1 and their identity keys, hex. */
  members: z.record(z.string(), hexDigest),
  colluders: count,
  /** From the confirmation on: U3 and h3. */
  survivors: z.array(z.string()),
  survivorsDigest: hexDigest.optional(),
});

const recordSchema = z.strictObject({
  version: z.literal(1),
  round: count,
  /** In the order in which this site took part. */
  attempts: z.array(attemptSchema),
});

/** What this site did in one attempt. */
export type LedgerAttempt = z.output<typeof attemptSchema>;
type LedgerRecord = z.output<typeof recordSchema>;

/** Where the ledger of a run is kept. What `write` was given is durable when it returns. */
export interface LedgerStorage {
  /** Undefined when nothing was ever written. */
  read(runId: string): string | undefined;
  write(runId: string, text: string): void;
}

/**
 * What this site did in each attempt at a run's newest round. It is written before the site acts, so that no restart makes
 * it forget: an attempt is begun once, attempts and rounds only go forward, at most one list of survivors is ever
 * confirmed, and none after an abort was signed.
 */
export class AttemptLedger {
  readonly #storage: LedgerStorage;

  constructor(storage: LedgerStorage) {
    this.#storage = storage;
  }

  /**
   * Whether an attempt is new to this site, the one that it began last, or older than that.
   * @throws ConsiliumError "storage" when the ledger cannot be read
   */
  standingOf({ runId, round, attempt }: RoundKey): "new" | "begun" | "passed" {
    const record = this.#read(runId);
    if (record === undefined || record.round < round) return "new";
    const newest = Math.max(-1, ...record.attempts.map((one) => one.attempt));
    if (record.round > round || newest > attempt) return "passed";
    return newest === attempt ? "begun" : "new";
  }

  /**
   * Begins an attempt, and gives up every earlier one of the round in which nothing was confirmed.
   * @returns the earlier ones whose abort this site may sign
   * @throws ProtocolRefusal for an attempt that is not newer than all before, and after too many uploads or attempts in one round
   */
  begin(key: RoundKey, facts: { readonly context: Uint8Array; readonly maxAttempts: number }): LedgerAttempt[] {
    // site-check: attempt-is-new
    if (this.standingOf(key) !== "new") throw replayed(key);
    const earlier = this.#attempts(key).map((one) => (one.stage === "confirmed" ? one : { ...one, aborted: true }));
    // site-check: attempts-left
    requireAttemptsLeft(earlier, facts.maxAttempts);
    // site-check: attempts-begun
    requireFewBegun(earlier, facts.maxAttempts);
    const begun: LedgerAttempt = {
      ...{ attempt: key.attempt, context: hex(facts.context), stage: "advertised", aborted: false, certified: false },
      ...{ members: {}, colluders: 0, survivors: [] },
    };
    this.#write(key, [...earlier, begun]);
    return earlier.filter((one) => one.aborted);
  }

  /** Whether an update of this site may have left it in any attempt at the round. */
  hasUploaded(round: Pick<RoundKey, "runId" | "round">): boolean {
    return this.#attempts(round).some(({ stage }) => stage !== "advertised");
  }

  /** The attempts of the round before this one in which the site uploaded, and whose end is not proven. */
  unproven(key: RoundKey): LedgerAttempt[] {
    return this.#attempts(key).filter(
      (one) => one.attempt < key.attempt && one.stage !== "advertised" && !one.certified,
    );
  }

  /** These earlier attempts of the round are proven to be over. */
  certify(key: RoundKey, attempts: readonly LedgerAttempt[]): void {
    const proven = new Set(attempts.map((one) => one.attempt));
    const marked = this.#attempts(key).map((one) => (proven.has(one.attempt) ? { ...one, certified: true } : one));
    this.#write(key, marked);
  }

  /** The masked update is about to leave. */
  upload(key: RoundKey, facts: Pick<LedgerAttempt, "members" | "colluders">): void {
    this.#change(key, (one) => ({ ...one, ...facts, stage: one.stage === "confirmed" ? one.stage : "uploaded" }));
  }

  /**
   * These survivors are about to be confirmed. The same again is no change.
   * @throws ProtocolRefusal for other survivors than those confirmed before, and after an abort was signed
   */
  confirm(key: RoundKey, { survivors, digest }: { survivors: readonly string[]; digest: Uint8Array }): void {
    const survivorsDigest = hex(digest);
    this.#change(key, (one) => {
      const { aborted, survivorsDigest: before } = one;
      // site-check: survivors-once
      if (before !== undefined && before !== survivorsDigest) throw secondSurvivors();
      // site-check: no-confirmation-after-abort
      if (aborted)
        throw contradiction("confirmed-after-abort", "the coordinator asks about an attempt that was given up");
      return { ...one, stage: "confirmed", survivors: [...survivors], survivorsDigest };
    });
  }

  #change({ runId, round, attempt }: RoundKey, change: (one: LedgerAttempt) => LedgerAttempt): void {
    const attempts = this.#attempts({ runId, round });
    if (!attempts.some((one) => one.attempt === attempt)) {
      throw new ConsiliumError("internal", `attempt ${attempt} at round ${round} of run ${runId} was not begun`);
    }
    this.#write(
      { runId, round },
      attempts.map((one) => (one.attempt === attempt ? change(one) : one)),
    );
  }

  #attempts({ runId, round }: Pick<RoundKey, "runId" | "round">): readonly LedgerAttempt[] {
    const record = this.#read(runId);
    return record?.round === round ? record.attempts : [];
  }

  /** A ledger that cannot be read is not an empty one. */
  #read(runId: string): LedgerRecord | undefined {
    const text = this.#storage.read(runId);
    if (text === undefined) return undefined;
    try {
      return recordSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new ConsiliumError("storage", `the ledger of attempts of run ${runId} cannot be read`, {
        cause,
        remedy: "restore it from a backup; without it this site cannot tell what it has promised, so it takes no part",
      });
    }
  }

  #write({ runId, round }: Pick<RoundKey, "runId" | "round">, attempts: readonly LedgerAttempt[]): void {
    const record: LedgerRecord = { version: 1, round, attempts: [...attempts] };
    this.#storage.write(runId, `${JSON.stringify(record)}\n`);
  }
}

/** Attempts that failed before this site uploaded count only among those begun. */
function requireAttemptsLeft(earlier: readonly LedgerAttempt[], maxAttempts: number): void {
  const spent = earlier.filter((one) => one.stage !== "advertised").length;
  if (spent < maxAttempts) return;
  throw new ProtocolRefusal("attempts-left", `this site has uploaded ${spent} times in this round`, {
    code: "policy-refused",
    remedy: "find out why attempts fail; the policy's secagg.maxAttempts allows no more in one round",
  });
}

/** Attempts for each upload that the policy allows: more than honest rounds lose, few enough for the ledger and the list of aborts. */
const begunPerUpload = 10;

/** Asking for fresh keys for ever must end, too, though nothing is uploaded. */
function requireFewBegun(earlier: readonly LedgerAttempt[], maxAttempts: number): void {
  if (earlier.length < begunPerUpload * maxAttempts) return;
  throw new ProtocolRefusal("attempts-begun", `this site has advertised keys ${earlier.length} times in this round`, {
    code: "policy-refused",
    remedy: `find out why attempts fail; a site begins at most ${begunPerUpload} for each of the policy's secagg.maxAttempts`,
  });
}

function replayed({ round, attempt }: RoundKey): ProtocolRefusal {
  const message = `attempt ${attempt} at round ${round} is not newer than what this site took part in`;
  return new ProtocolRefusal("attempt-is-new", message, { code: "stale" });
}

function secondSurvivors(): ProtocolRefusal {
  return contradiction("survivors-once", "a second, different list of survivors came for one attempt");
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
