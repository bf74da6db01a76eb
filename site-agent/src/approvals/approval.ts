import { createHash } from "node:crypto";
import { z } from "zod";

/** A run that asks to begin: the exact text of its configuration, as it stood in the signed plan. */
export interface ApprovalSubject {
  readonly runId: string;
  readonly runConfigJson: string;
}

export const approvalSchema = z.strictObject({
  version: z.literal(1),
  runId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
  /** SHA-256 of the configuration's bytes, hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Byte for byte as it was signed, in UTF-8. */
  runConfigJson: z.string(),
  askedAtMs: z.number(),
  decision: z.enum(["waiting", "granted", "denied"]),
  decidedAtMs: z.number().optional(),
  /** The site's own note; it is sent nowhere. */
  reason: z.string().max(1000).optional(),
});

/** A question to the people of this site, and their answer. It is about one run with exactly these bytes. */
export type Approval = z.output<typeof approvalSchema>;
export type ApprovalDecision = Approval["decision"];

/** SHA-256 of the configuration's bytes, hex. */
export function configDigest(runConfigJson: string): string {
  return createHash("sha256").update(runConfigJson, "utf8").digest("hex");
}

/** What commands call it: the run, and enough of the digest to tell its configurations apart. */
export function approvalId({ runId, digest }: Pick<Approval, "runId" | "digest">): string {
  return `${runId}@${digest.slice(0, 12)}`;
}

/** Whether a person may have meant this one: by the run's id alone, or with the beginning of the digest. */
export function isCalled(approval: Approval, text: string): boolean {
  const [runId, digest = ""] = text.split("@");
  return approval.runId === runId && approval.digest.startsWith(digest);
}
