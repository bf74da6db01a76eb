import { createHash } from "node:crypto";
import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { verifyIdentity } from "@consilium/shared/identity/identity-key.js";
import type { Logger } from "@consilium/shared/log.js";
import {
  planSignatureLabel,
  type ReceivedPlan,
  type ReceivedResult,
  resultSignatureLabel,
} from "@consilium/shared/protocol.js";
import { callClientStream, callServerStream, callUnary } from "@consilium/shared/rpc/calls.js";
import type { RpcChannel } from "@consilium/shared/rpc/channel.js";
import {
  type Directive as DirectiveMessage,
  FederationServiceClient,
  type SignedPlan,
  type SignedResult,
} from "@consilium/shared/rpc/gen/federation.js";
import { SecAggServiceClient, type UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type { Egress } from "../audit/egress-record.js";
import type {
  CheckpointChunk,
  CheckpointRequest,
  CoordinatorClient,
  Directive,
  ResultsRequest,
  SiteReport,
  StageCall,
  StageMessage,
  StageOutcome,
} from "../round/coordinator.js";
import { brokenAsUnreachable } from "./connection-end.js";
import type { DirectiveGate } from "./directive-gate.js";
import { egressDoor } from "./egress-door.js";
import { fetchRosters } from "./fetch-rosters.js";
import { readPlan, readResult, reportMessage, stageMessage, stageOutcome, toBuffer, withdrawalOf } from "./messages.js";

const reportTimeoutMs = 20_000;
const renewTimeoutMs = 30_000;

/** More than a plan of the longest configuration and the most sites has. */
export const mostPlanBytes = 2 << 20;
/** The same of a round's result, which names at most the sites of a roster. */
export const mostResultBytes = 256 << 10;

/** What the coordinator gives for a certificate request. */
export interface Renewed {
  readonly certificatePem: string;
  /** Every authority to trust from now on. */
  readonly caPem: string;
}

/** The coordinator, as the whole agent sees it. */
export interface AgentClient extends CoordinatorClient {
  /** @param csrPem PKCS #10 with the key that the next certificate is for */
  renewCertificate(csrPem: string, signal: AbortSignal): Promise<Renewed>;
}

/** Told what goes over the line, for metrics. */
export interface Traffic {
  /** A directive that could not be trusted or read. */
  rejected(code: ErrorCode): void;
  sent(bytes: number): void;
  received(bytes: number): void;
}

export interface CoordinatorClientOptions {
  readonly federation: FederationServiceClient;
  readonly secagg: SecAggServiceClient;
  readonly siteId: string;
  readonly agentVersion: string;
  /** Raw Ed25519 key, pinned when the site joined: the only one whose plans are followed. */
  readonly planPublicKey: Uint8Array;
  readonly traffic: Traffic;
  /** Keeps out what comes too often. */
  readonly gate: Pick<DirectiveGate, "admits">;
  /** Hash of the newest checkpoint of the site's audit log, once there is one. */
  readonly auditHead?: () => Uint8Array | undefined;
  readonly logger: Logger;
}

/** Calls over an open channel; what they send goes through the door of `egress`. */
export function clientOver(
  channel: RpcChannel,
  { egress, ...options }: Omit<CoordinatorClientOptions, "federation" | "secagg"> & { readonly egress: Egress },
): AgentClient {
  const door = [egressDoor(egress)];
  const federation = channel.client(FederationServiceClient, door);
  return coordinatorClient({ ...options, federation, secagg: channel.client(SecAggServiceClient, door) });
}

export function coordinatorClient(options: CoordinatorClientOptions): AgentClient {
  return {
    attach: (signal) => attach(options, signal),
    fetchCheckpoint: (request) => fetchChunks(options, "fetchCheckpoint", request),
    fetchAggregate: (request) => fetchChunks(options, "fetchAggregate", request),
    fetchResults: (request) => fetchResults(options, request),
    fetchRosters: (afterVersion) => fetchRosters(options.federation, afterVersion),
    report: (report, signal) => sendReport(options, report, signal),
    exchange: (message, call) => exchange(options, message, call),
    upload: (upload, call) => sendUpload(options, upload, call),
    renewCertificate: (csrPem, signal) => renewCertificate(options, csrPem, signal),
  };
}

/** Reading pauses while the consumer does, so a flood of directives does not pile up here. */
async function* attach(options: CoordinatorClientOptions, signal: AbortSignal): AsyncGenerator<Directive> {
  const { federation, siteId, agentVersion } = options;
  const request = { siteId, agentVersion };
  try {
    for await (const message of callServerStream(federation.attach.bind(federation), request, { signal })) {
      const directive = directiveOf(message, options);
      if (directive !== undefined) yield directive;
    }
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

/** Undefined for what cannot be trusted or read, which is logged, and for what is too much; neither ends the connection. */
function directiveOf({ kind }: DirectiveMessage, options: CoordinatorClientOptions): Directive | undefined {
  try {
    switch (kind?.$case) {
      case "plan":
        // site-check: plan-rate
        if (!options.gate.admits("plan")) return undefined;
        return { kind: "plan", received: verifiedPlan(kind.value, options.planPublicKey) };
      case "withdrawal":
        // site-check: withdrawal-rate
        if (!options.gate.admits("withdrawal")) return undefined;
        return withdrawalOf(kind.value);
      case "heartbeat":
        return { kind: "heartbeat", sentAtMs: kind.value.sentAtMs };
      default:
        return undefined;
    }
  } catch (thrown) {
    if (!(thrown instanceof ConsiliumError)) throw thrown;
    const { code, message: reason, remedy } = thrown;
    options.traffic.rejected(code);
    options.logger.error("directive-ignored", { code, reason, remedy });
    return undefined;
  }
}

/**
 * @throws ConsiliumError "certificate-refused" for a plan that the pinned key did not sign, "plan-invalid" for one that is
 * too large, which is not read at all
 */
export function verifiedPlan(signed: SignedPlan, planPublicKey: Uint8Array): ReceivedPlan {
  // site-check: plan-size
  if (signed.body.length > mostPlanBytes) throw tooLarge("a plan", signed.body.length, mostPlanBytes);
  const message = Buffer.concat([Buffer.from(planSignatureLabel), signed.body]);
  // site-check: plan-signature
  if (!verifyIdentity(planPublicKey, message, signed.signature)) throw unsigned("a plan");
  return readPlan(signed);
}

async function* fetchChunks(
  { federation, traffic }: CoordinatorClientOptions,
  method: "fetchCheckpoint" | "fetchAggregate",
  { key, digest, offset, signal }: CheckpointRequest,
): AsyncGenerator<CheckpointChunk> {
  const request = { key: { ...key }, digest: toBuffer(digest), offset };
  try {
    for await (const chunk of callServerStream(federation[method].bind(federation), request, { signal })) {
      traffic.received(chunk.data.length);
      yield chunk;
    }
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

async function* fetchResults(
  { federation, traffic, planPublicKey }: CoordinatorClientOptions,
  { key, fromRound, signal }: ResultsRequest,
): AsyncGenerator<ReceivedResult> {
  const request = { key: { ...key }, fromRound };
  try {
    for await (const signed of callServerStream(federation.fetchResults.bind(federation), request, { signal })) {
      traffic.received(signed.body.length);
      yield verifiedResult(signed, planPublicKey);
    }
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

/** As `verifiedPlan`, for a result. */
export function verifiedResult(signed: SignedResult, planPublicKey: Uint8Array): ReceivedResult {
  // site-check: result-size
  if (signed.body.length > mostResultBytes) throw tooLarge("a round's result", signed.body.length, mostResultBytes);
  const message = Buffer.concat([Buffer.from(resultSignatureLabel), signed.body]);
  // site-check: result-signature
  if (!verifyIdentity(planPublicKey, message, signed.signature)) throw unsigned("a round's result");
  return readResult(signed);
}

function tooLarge(what: string, bytes: number, most: number): ConsiliumError {
  return new ConsiliumError("plan-invalid", `${what} of ${bytes} bytes is not read, ${most} are the most`, {
    remedy: "no honest coordinator sends one; tell its operator",
  });
}

function unsigned(what: string): ConsiliumError {
  return new ConsiliumError(
    "certificate-refused",
    `${what} is not signed by the key that was pinned when the site joined`,
    {
      remedy: "ask the coordinator's operator whether the plan key was changed; if not, someone forges plans",
    },
  );
}

async function sendReport(options: CoordinatorClientOptions, report: SiteReport, signal: AbortSignal): Promise<void> {
  const { federation, siteId } = options;
  const limits = { timeoutMs: reportTimeoutMs, signal };
  try {
    await callUnary(federation.report.bind(federation), reportMessage(siteId, report, options.auditHead?.()), limits);
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

async function renewCertificate(
  { federation, siteId }: CoordinatorClientOptions,
  csrPem: string,
  signal: AbortSignal,
): Promise<Renewed> {
  const limits = { timeoutMs: renewTimeoutMs, signal };
  try {
    return await callUnary(federation.renewCertificate.bind(federation), { siteId, csrPem }, limits);
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

async function exchange(
  { secagg, siteId }: CoordinatorClientOptions,
  message: StageMessage,
  { key, timeoutMs, signal }: StageCall,
): Promise<StageOutcome> {
  const request = stageMessage(siteId, key, message);
  try {
    return stageOutcome(await callUnary(secagg.exchange.bind(secagg), request, { timeoutMs, signal }), key);
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

async function sendUpload(
  options: CoordinatorClientOptions,
  upload: MaskedUpload,
  { key, timeoutMs, signal }: StageCall,
): Promise<StageOutcome> {
  const { secagg, siteId, traffic } = options;
  const header = { key: { ...key }, siteId, words: upload.words };
  try {
    const parts = uploadParts(header, upload, traffic);
    return stageOutcome(await callClientStream(secagg.upload.bind(secagg), parts, { timeoutMs, signal }), key);
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
}

type UploadHeader = Extract<UploadPart["part"], { $case: "header" }>["value"];

/** Header, chunks in order, seal. */
async function* uploadParts(header: UploadHeader, upload: MaskedUpload, traffic: Traffic): AsyncGenerator<UploadPart> {
  yield { part: { $case: "header", value: header } };
  const hash = createHash("sha256");
  let index = 0;
  for await (const bytes of upload.chunks()) {
    hash.update(bytes);
    yield { part: { $case: "chunk", value: { index: index++, words: toBuffer(bytes) } } };
    traffic.sent(bytes.length);
  }
  const sha256 = hash.digest();
  yield { part: { $case: "seal", value: { sha256, signature: toBuffer(upload.seal(sha256)) } } };
}
