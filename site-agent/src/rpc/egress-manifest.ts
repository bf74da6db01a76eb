import { isErrorCode } from "@consilium/shared/rpc/status.js";
import { isSiteId } from "@consilium/shared/secagg/protocol.js";
import { z } from "zod";
import type { EgressKind } from "../audit/egress-record.js";
import { modelClauses } from "../chain/clauses.js";
import { governanceClauses } from "../governance/governance-refusal.js";
import { policyClauses } from "../policy-check.js";

/**
 * Everything that can leave the hospital, field by field: a message with any other field, or with a value of another
 * kind, is not sent. Free text is in none of them; docs/site.md, "What leaves the hospital", says the same in words.
 */

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const siteId = z.string().refine(isSiteId);
const key = z.strictObject({
  runId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
  round: count,
  attempt: count,
});

const binary = (most: number, fewest = 0) =>
  z.instanceof(Uint8Array).refine(({ length }) => length >= fewest && length <= most);
const digest = binary(32, 32);
/** Two Shamir shares of a 32-byte secret and a header, encrypted, are shorter. */
const sealed = binary(512);

const clauses: ReadonlySet<string> = new Set([
  "",
  "schedule.hours",
  "policy.yaml",
  "secagg.maxAttempts",
  "secagg.requiredPeers",
  ...governanceClauses,
  ...policyClauses,
  ...modelClauses,
]);

const signature = binary(64, 64);

const advert = z.strictObject({
  siteId,
  maskPublicKey: digest,
  sealPublicKey: digest,
  selfCommitment: digest,
  nonce: binary(32),
  signature,
  identityPublicKey: digest,
});

const advertise = z.strictObject({
  advert,
  aborts: z.array(z.strictObject({ siteId, attempt: count, signature })),
});

/** A Merkle path for as many sites as there are 32-bit numbers is no longer. */
const path = z.array(digest).max(32);

const share = z.strictObject({
  shares: z.array(z.strictObject({ fromSite: siteId, toSite: siteId, ciphertext: sealed, path })),
  root: digest,
  signature,
});

const confirm = z.strictObject({ signature });

const secretShare = z.discriminatedUnion("$case", [
  z.strictObject({ $case: z.literal("selfShare"), value: binary(64) }),
  z.strictObject({ $case: z.literal("pairwiseShare"), value: binary(64) }),
]);

const unmask = z.strictObject({
  reveals: z.array(z.strictObject({ aboutSite: siteId, share: secretShare })),
});

const exchange = z.strictObject({
  key,
  siteId,
  stage: z.discriminatedUnion("$case", [
    z.strictObject({ $case: z.literal("advertise"), value: advertise }),
    z.strictObject({ $case: z.literal("share"), value: share }),
    z.strictObject({ $case: z.literal("confirm"), value: confirm }),
    z.strictObject({ $case: z.literal("unmask"), value: unmask }),
  ]),
});

const upload = z.strictObject({
  part: z.discriminatedUnion("$case", [
    z.strictObject({ $case: z.literal("header"), value: z.strictObject({ key, siteId, words: count }) }),
    z.strictObject({ $case: z.literal("chunk"), value: z.strictObject({ index: count, words: binary(1 << 22) }) }),
    z.strictObject({ $case: z.literal("seal"), value: z.strictObject({ sha256: digest, signature }) }),
  ]),
});

const attach = z.strictObject({ siteId, agentVersion: z.string().regex(/^[0-9A-Za-z.+-]{1,64}$/) });

const reportFields = z.strictObject({
  key,
  siteId,
  phase: z.number().int().min(1).max(6),
  code: z.string().refine((code) => code === "" || isErrorCode(code)),
  clause: z.string().refine((clause) => clauses.has(clause)),
  stepsDone: count,
  auditHead: digest.optional(),
  accused: siteId.or(z.literal("")),
});
/** A site is named for one thing only. */
const report = reportFields.refine(({ accused, code }) => accused === "" || code === "share-invalid", {
  path: ["accused"],
});

const rosterRequest = z.strictObject({ afterVersion: count });
const checkpointRequest = z.strictObject({ key, digest, offset: count });

const resultsRequest = z.strictObject({ key, fromRound: count });

/** PEM with nothing before or after it. */
const csrPem = z
  .string()
  .max(8192)
  .regex(/^-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----\s*$/);
const renew = z.strictObject({ siteId, csrPem });
const enrol = z.strictObject({ siteId, csrPem, identityPublicKey: digest, token: digest });

const federation = "/consilium.v1.FederationService";
const secagg = "/consilium.v1.SecAggService";

interface ListedMethod {
  readonly schema: z.ZodType;
  readonly kind: (message: unknown) => EgressKind;
}

/** Of each method of the coordinator that this site calls, the message it takes. */
const manifest: Readonly<Record<string, ListedMethod>> = {
  [`${federation}/Attach`]: { schema: attach, kind: () => "attach" },
  [`${federation}/FetchRosters`]: { schema: rosterRequest, kind: () => "roster-request" },
  [`${federation}/Report`]: { schema: report, kind: () => "report" },
  [`${federation}/FetchCheckpoint`]: { schema: checkpointRequest, kind: () => "checkpoint-request" },
  [`${federation}/FetchResults`]: { schema: resultsRequest, kind: () => "checkpoint-request" },
  [`${federation}/FetchAggregate`]: { schema: checkpointRequest, kind: () => "checkpoint-request" },
  [`${secagg}/Exchange`]: { schema: exchange, kind: stageKind },
  [`${secagg}/Upload`]: { schema: upload, kind: () => "upload" },
  [`${federation}/RenewCertificate`]: { schema: renew, kind: () => "enrol" },
  "/consilium.v1.EnrolmentService/Enrol": { schema: enrol, kind: () => "enrol" },
};

function stageKind(message: unknown): EgressKind {
  const parsed = exchange.safeParse(message);
  return parsed.success ? parsed.data.stage.$case : "advertise";
}

/** A message that may leave. */
export interface Leaving {
  readonly kind: EgressKind;
  /** What it says about its round, if anything. */
  readonly key: z.output<typeof key> | undefined;
  /** In an upload's header: 32-bit words that follow. */
  readonly words: number | undefined;
}

export type ManifestAnswer =
  | { readonly leaving: Leaving }
  | { readonly kind: EgressKind | "unlisted"; readonly objection: string };

/** @param path full name of the method, as gRPC puts it on the wire */
export function askManifest(path: string, message: unknown): ManifestAnswer {
  const entry = Object.hasOwn(manifest, path) ? manifest[path] : undefined;
  if (entry === undefined) return { kind: "unlisted", objection: "the manifest does not list this call" };
  const parsed = entry.schema.safeParse(message);
  const kind = entry.kind(message);
  if (!parsed.success) return { kind, objection: objectionOf(parsed.error) };
  const header = uploadHeader.safeParse(parsed.data).data?.part.value;
  const about = header ?? keyed.safeParse(parsed.data).data;
  return { leaving: { kind, key: about?.key, words: header?.words } };
}

const keyed = z.object({ key });
const uploadHeader = z.object({ part: z.object({ value: z.object({ key, words: count }) }) });

/** Names the field, never its value. */
function objectionOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  const extra = issue?.code === "unrecognized_keys" ? issue.keys : [];
  const path = [...(issue?.path ?? []), ...extra].map(String).join(".");
  return `the manifest does not allow its field "${path}"`;
}
