import { z } from "zod";

/**
 * What a site's audit log can say, and nothing else: ids that the federation gave, counts, digests and codes. No text
 * from a file, no name of one, no value of a patient and no secret fits any of these fields.
 */

export const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
/** Codes, clauses, versions and command names: no space, no slash, so neither a sentence nor a path. */
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}$/);

const round = { run: word, round: count, attempt: count };

/** Messages of an attempt that hold key material or the masked update. */
export const guardedKinds = ["advertise", "share", "confirm", "unmask", "upload"] as const;
/** Messages of enumerations and counters, of which many are sent: they are counted and told together. */
export const countedKinds = ["attach", "checkpoint-request", "report", "roster-request"] as const;
/** Every kind of message that can leave this site. */
export const egressKinds = [...guardedKinds, ...countedKinds, "enrol"] as const;

/** Of each action, what it was about. */
export const auditObjects = {
  /** The agent began to run; `policy` is the SHA-256 of the policy file, absent where there is none. */
  "agent.started": z.strictObject({ version: word, policy: hexDigest.optional() }),
  /** The agent was asked to stop and did. An end without this entry was a crash. */
  "agent.stopped": z.strictObject({}),
  /** A person ran a command of `consilium-agent` that changes something or lets something out. */
  "command.run": z.strictObject({ command: word, run: word.optional(), config: hexDigest.optional() }),

  /**
   * From here on the log is signed by another identity key of this site; keys are raw, hex. `signed`: the old key vouches
   * for the new one.
   */
  "identity.rotated": z.strictObject({ before: hexDigest, key: hexDigest, signed: z.boolean() }),

  /** A plan with a good signature came; `plan` is the SHA-256 of its signed bytes. */
  "plan.received": z.strictObject({ ...round, plan: hexDigest }),
  /** Schedule and policy allow the plan. */
  "plan.accepted": z.strictObject(round),
  /** This site said no; the entry's reason is the clause. */
  "plan.refused": z.strictObject(round),
  /** A directive that is not signed by the pinned key, or cannot be read; the entry's reason is the code. */
  "directive.rejected": z.strictObject({}),
  /** The weights to start from are here and have the digest that the plan names. */
  "model.received": z.strictObject({ ...round, checkpoint: hexDigest, bytes: count }),
  /** Images are about to be read for training. `dataset` is a keyed hash of which source they come from. */
  "data.opened": z.strictObject({ ...round, dataset: word, images: count }),
  /** A message of the attempt did not pass this check of the site's. */
  "message.rejected": z.strictObject({ ...round, check: word }),
  /** As message.rejected, where no fault or delay of honest processes explains the message. */
  "attack.suspected": z.strictObject({ ...round, check: word }),
  /**
   * Privacy was paid for, before images were read. `epsilon` is that of the data set's whole history
   * at the policy's delta; what was charged before stays charged, whatever became of it.
   */
  "privacy.charged": z.strictObject({ ...round, dataset: word, epsilon: word }),
  /** The attempt is over for this site; reason: an error code, or why it was left. */
  "attempt.ended": z.strictObject(round),

  /** Written before the first byte: this message of an attempt is let out. */
  "message.released": z.strictObject({ ...round, kind: z.enum(guardedKinds), bytes: count }),
  /** How the upload ended and how many bytes had been handed to the connection by then. */
  "update.uploaded": z.strictObject({ ...round, bytes: count }),
  /** Messages of enumerations and counters since the last such entry. `run` is absent for those of no run. */
  "traffic.counted": z.strictObject({
    run: word.optional(),
    kind: z.enum(countedKinds),
    messages: count,
    bytes: count,
  }),
  /** A message that the manifest does not allow was stopped; reason: its kind. */
  "egress.stopped": z.strictObject({}),

  /** The policy file has another content than before; `policy` is absent where it is missing now. */
  "policy.changed": z.strictObject({ before: hexDigest.optional(), policy: hexDigest.optional() }),
  /** From now on this site follows this roster; `roster` is the SHA-256 of its canonical bytes. */
  "roster.pinned": z.strictObject({ version: count, roster: hexDigest }),
  /** A roster came that the pinned governance keys have signed; it waits for a person. */
  "roster.waiting": z.strictObject({ version: count, roster: hexDigest }),
  /** A roster came that is not followed; the entry's reason says why. */
  "roster.refused": z.strictObject({}),
  /** A certificate is asked for: written before the request, which has this many bytes, is sent. */
  "certificate.requested": z.strictObject({ bytes: count }),
  /** The site has a certificate; `certificate` is its SHA-256. */
  "certificate.stored": z.strictObject({ certificate: hexDigest, notAfterMs: count }),
  /** The agent speaks with this certificate. */
  "certificate.used": z.strictObject({ certificate: hexDigest, notAfterMs: count }),
  /** The encoder of a checkpoint was written to files. */
  "model.exported": z.strictObject({ checkpoint: hexDigest }),

  /** This log was read with a command; `command` is its name. */
  "log.read": z.strictObject({ command: word }),
  /** The site's identity key signs that entry `covers` has the hash `head`; `key` is the key's fingerprint. */
  "log.checkpoint": z.strictObject({
    covers: count,
    head: hexDigest,
    key: hexDigest,
    signature: z.string().regex(/^[0-9a-f]{128}$/),
  }),
  /** The log goes on in a new file. */
  "log.rotated": z.strictObject({ segment: count }),
  /** Files up to `segment` are older than the retention and go; the log now begins after `last`, whose hash is `head`. */
  "log.retired": z.strictObject({ segment: count, last: count, head: hexDigest }),
  /** A crash left part of a line; it was kept aside. `digest` is the SHA-256 of that part. */
  "log.recovered": z.strictObject({ bytes: count, digest: hexDigest }),
  /** The log ended before the entry that the site had signed last. */
  "log.shortened": z.strictObject({ signed: count, found: count }),
  /** The coordinator signed that it had seen this checkpoint of this log. Outcome failure: this log says otherwise. */
  "log.witnessed": z.strictObject({ run: word, head: hexDigest }),
} as const;

export type AuditAction = keyof typeof auditObjects;
export type AuditObject<Action extends AuditAction = AuditAction> = z.output<(typeof auditObjects)[Action]>;
export type AuditOutcome = "success" | "refused" | "failure";

/** Something that happened. One entry per outcome. */
export type AuditEvent = {
  [Action in AuditAction]: {
    readonly action: Action;
    readonly object: AuditObject<Action>;
    /** Default: success. */
    readonly outcome?: AuditOutcome;
    /** A clause or a code. */
    readonly reason?: string;
    /** Who did it, where it was not the log's own writer. */
    readonly actor?: string;
    readonly role?: AuditRole;
    /** Ties entries together: the text of the round key, or a random id of a command. */
    readonly corrId?: string;
  };
}[AuditAction];

export const auditRoles = ["agent", "operator", "coordinator"] as const;
export type AuditRole = (typeof auditRoles)[number];

const head = {
  /** From 1, without a gap. */
  seq: count.min(1),
  /** UTC, ISO 8601 with milliseconds. */
  ts: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  /** Milliseconds since the writing process began: unlike `ts` it never goes back while one process runs. */
  mono: count,
  actor: z.string().regex(/^[\p{L}\p{N}._:@-]{1,96}$/u),
  role: z.enum(auditRoles),
  action: word,
  outcome: z.enum(["success", "refused", "failure"]),
  reason: z.union([z.literal(""), word]),
  corrId: z.string().regex(/^[A-Za-z0-9._:/+-]{0,160}$/),
  /** Hash of the entry before; of the first one, zeros. */
  prev: hexDigest,
  hash: hexDigest,
};

const entryHead = z.strictObject({ ...head, object: z.unknown() });

export type AuditEntry = {
  [Action in AuditAction]: Omit<z.output<typeof entryHead>, "action" | "object"> & {
    readonly action: Action;
    readonly object: AuditObject<Action>;
  };
}[AuditAction];

/** The entry that a parsed line is, or undefined where it is none of the above. */
export function readEntry(value: unknown): AuditEntry | undefined {
  const parsed = entryHead.safeParse(value);
  if (!parsed.success || !isAction(parsed.data.action)) return undefined;
  if (!auditObjects[parsed.data.action].safeParse(parsed.data.object).success) return undefined;
  return parsed.data as AuditEntry;
}

function isAction(text: string): text is AuditAction {
  return Object.hasOwn(auditObjects, text);
}

/** An id from outside as the log can hold it: itself, or a stand-in where it has characters that ids have not. */
export function asWord(text: string): string {
  return word.safeParse(text).success ? text : "not-an-id";
}

/** Actions that let something out of the building, or that prove what did: on disk before the act goes on. */
const durable: ReadonlySet<AuditAction> = new Set([
  "agent.started",
  "command.run",
  "data.opened",
  "privacy.charged",
  "message.released",
  "update.uploaded",
  "egress.stopped",
  "attack.suspected",
  "policy.changed",
  "roster.pinned",
  "roster.refused",
  "certificate.requested",
  "certificate.stored",
  "model.exported",
  "log.checkpoint",
  "log.rotated",
  "log.retired",
  "log.recovered",
  "log.shortened",
  "identity.rotated",
]);

export function isDurable(action: AuditAction): boolean {
  return durable.has(action);
}
