import { createHash } from "node:crypto";
import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import { planSignatureLabel, resultSignatureLabel } from "@consilium/shared/protocol.js";
import {
  CommittedRound,
  FederationServiceClient,
  type FederationServiceServer,
  FederationServiceService,
  RoundPlan,
  type SignedPlan,
  type SignedResult,
  SitePhase,
  type SiteReport,
} from "@consilium/shared/rpc/gen/federation.js";
import {
  SecAggServiceClient,
  type SecAggServiceServer,
  SecAggServiceService,
  type SiteMessage,
  type UploadPart,
} from "@consilium/shared/rpc/gen/secagg.js";
import { toStatus } from "@consilium/shared/rpc/status.js";
import { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CoordinatorClient, Directive } from "../round/coordinator.js";
import { examplePlan } from "../test-plans.js";
import {
  coordinatorClient,
  mostPlanBytes,
  mostResultBytes,
  verifiedPlan,
  verifiedResult,
} from "./coordinator-client.js";
import { DirectiveGate, mostDirectivesAMinute } from "./directive-gate.js";
import { toBuffer } from "./messages.js";

const planKey = IdentityKey.fromSeed(new Uint8Array(32).fill(1));
const otherKey = IdentityKey.fromSeed(new Uint8Array(32).fill(2));
const key = { runId: "run-1", round: 1, attempt: 2 };

function signedPlan(by: IdentityKey): SignedPlan {
  const plan = examplePlan({ key });
  const body = Buffer.from(
    RoundPlan.encode({
      ...plan,
      key,
      checkpointDigest: toBuffer(plan.checkpointDigest),
      layoutDigest: toBuffer(plan.layoutDigest),
      previousResultDigest: toBuffer(plan.previousResultDigest),
      tensorClips: [...plan.tensorClips],
      lanes: [...plan.lanes],
      auditWitnesses: [],
      rosterDigest: toBuffer(plan.rosterDigest),
    }).finish(),
  );
  return { body, signature: Buffer.from(by.sign(Buffer.concat([Buffer.from(planSignatureLabel), body]))) };
}

function signedResult(by: IdentityKey): SignedResult {
  const body = Buffer.from(
    CommittedRound.encode(CommittedRound.create({ federation: "demo", key, serverOptimizer: "fedavg" })).finish(),
  );
  return { body, signature: Buffer.from(by.sign(Buffer.concat([Buffer.from(resultSignatureLabel), body]))) };
}

const reports: SiteReport[] = [];
const exchanged: SiteMessage[] = [];
const uploaded: UploadPart[] = [];
const ignored: string[] = [];

const federationService: FederationServiceServer = {
  attach(call) {
    call.write({ kind: { $case: "plan", value: signedPlan(otherKey) } });
    call.write({ kind: { $case: "plan", value: { body: Buffer.from("junk"), signature: Buffer.alloc(64) } } });
    call.write({ kind: undefined });
    call.write({ kind: { $case: "plan", value: signedPlan(planKey) } });
    call.write({ kind: { $case: "withdrawal", value: { key, reason: "stopped" } } });
    call.write({ kind: { $case: "heartbeat", value: { sentAtMs: 5 } } });
    call.end();
  },
  fetchCheckpoint(call) {
    const content = Buffer.from("checkpoint");
    call.write({ offset: call.request.offset, data: content.subarray(call.request.offset, 6) });
    call.write({ offset: 6, data: content.subarray(6) });
    call.end();
  },
  fetchResults(call) {
    for (const signer of call.request.fromRound === 1 ? [planKey] : [planKey, otherKey])
      call.write(signedResult(signer));
    call.end();
  },
  fetchAggregate(call) {
    call.write({ offset: call.request.offset, data: Buffer.from("sum").subarray(call.request.offset) });
    call.end();
  },
  fetchRosters(call) {
    call.write({ document: Buffer.from(`after ${call.request.afterVersion}`) });
    call.end();
  },
  report(call, callback) {
    reports.push(call.request);
    callback(null, {});
  },
  renewCertificate(call, callback) {
    callback(null, { certificatePem: `for ${call.request.siteId}: ${call.request.csrPem}`, caPem: "authorities" });
  },
};

const secaggService: SecAggServiceServer = {
  exchange(call, callback) {
    exchanged.push(call.request);
    const { stage } = call.request;
    if (stage?.$case === "share") return callback(toStatus(new ConsiliumError("stale", "the stage is over")));
    if (stage?.$case === "unmask") return;
    callback(null, { outcome: { $case: "advertised", value: { adverts: [], aborts: [] } } });
  },
  upload(call, callback) {
    call.on("data", (part: UploadPart) => uploaded.push(part));
    call.on("end", () => callback(null, { outcome: { $case: "survivors", value: { uploads: [] } } }));
  },
};

let server: Server;
let client: CoordinatorClient;
let close: () => void;
const traffic = { sent: 0, received: 0, rejected: [] as string[] };
let gate: DirectiveGate;

beforeEach(async () => {
  for (const list of [reports, exchanged, uploaded, ignored]) list.length = 0;
  Object.assign(traffic, { sent: 0, received: 0, rejected: [] });
  server = new Server();
  server.addService(FederationServiceService, federationService);
  server.addService(SecAggServiceService, secaggService);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const address = `127.0.0.1:${port}`;
  const federation = new FederationServiceClient(address, credentials.createInsecure());
  const secagg = new SecAggServiceClient(address, credentials.createInsecure());
  const logger: Logger = { ...silentLogger, error: (_event, fields) => ignored.push(String(fields?.["code"])) };
  gate = new DirectiveGate({ clock: new ManualClock(), onSurplus: () => {} });
  client = coordinatorClient({
    ...{ federation, secagg, gate, logger, siteId: "site-a", agentVersion: "1", planPublicKey: planKey.publicKey },
    traffic: {
      sent: (bytes) => {
        traffic.sent += bytes;
      },
      received: (bytes) => {
        traffic.received += bytes;
      },
      rejected: (code) => traffic.rejected.push(code),
    },
  });
  close = () => {
    federation.close();
    secagg.close();
    server.forceShutdown();
  };
});
afterEach(() => close());

const never = new AbortController().signal;
const call = { key, timeoutMs: 10_000, signal: never };

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe("the coordinator's client", () => {
  it("follows plans of the pinned key only, and goes on after others", async () => {
    const directives: Directive[] = await all(client.attach(never));
    expect(directives.map(({ kind }) => kind)).toEqual(["plan", "withdrawal", "heartbeat"]);
    expect(directives[0]).toMatchObject({ received: { plan: { key, federation: "demo", minCohort: 3 } } });
    expect(directives[1]).toMatchObject({ key, reason: "stopped" });
    expect(ignored).toEqual(["certificate-refused", "certificate-refused"]);
    expect(traffic.rejected).toEqual(ignored);
  });

  it.each(["plan", "withdrawal"] as const)("looks at no %s beyond so many a minute, and goes on", async (kind) => {
    for (let count = 0; count < mostDirectivesAMinute; count++) gate.admits(kind);
    const directives: Directive[] = await all(client.attach(never));
    expect(directives.map((one) => one.kind)).toEqual(
      ["plan", "withdrawal", "heartbeat"].filter((one) => one !== kind),
    );
    expect(ignored).toHaveLength(kind === "plan" ? 0 : 2);
  });

  it("hands over the plan's exact bytes, which masks are bound to", async () => {
    const [first] = await all(client.attach(never));
    const { body } = signedPlan(planKey);
    expect(first?.kind === "plan" && Buffer.from(first.received.body).equals(body)).toBe(true);
  });

  it("fetches a checkpoint from where it was cut", async () => {
    const chunks = await all(client.fetchCheckpoint({ key, digest: new Uint8Array(32), offset: 2, signal: never }));
    expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe("eckpoint");
    expect(traffic.received).toBe(8);
  });

  it("fetches a sum, and results that the pinned key signed; with another's, none after it", async () => {
    const chunks = await all(client.fetchAggregate({ key, digest: new Uint8Array(32), offset: 1, signal: never }));
    expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe("um");
    const [received] = await all(client.fetchResults({ key, fromRound: 1, signal: never }));
    expect(received?.result).toMatchObject({ federation: "demo", key, serverOptimizer: "fedavg" });
    expect(Buffer.from(received!.body).equals(signedResult(planKey).body)).toBe(true);
    await expect(all(client.fetchResults({ key, fromRound: 2, signal: never }))).rejects.toMatchObject({
      code: "certificate-refused",
    });
  });

  it("reports in codes", async () => {
    await client.report(
      { key, phase: "refused", code: "policy-refused", clause: "jobs.maxRounds", stepsDone: 0, accused: "" },
      never,
    );
    expect(reports).toEqual([
      {
        key,
        siteId: "site-a",
        phase: SitePhase.REFUSED,
        code: "policy-refused",
        clause: "jobs.maxRounds",
        stepsDone: 0,
        accused: "",
      },
    ]);
  });

  it("sends a stage's message and gives back its outcome, or the error that the coordinator named", async () => {
    const bytes = new Uint8Array(32).fill(3);
    const advert = {
      ...{ siteId: "site-a", maskPublicKey: bytes, sealPublicKey: bytes, selfCommitment: bytes },
      ...{ nonce: bytes, signature: bytes, identityPublicKey: bytes },
    };
    const abort = { siteId: "site-a", attempt: 1, signature: new Uint8Array(64).fill(5) };
    const advertisement = { advert, aborts: [abort] };
    expect(await client.exchange({ stage: "advertise", advertisement }, call)).toEqual({
      kind: "advertised",
      advertised: { adverts: [], aborts: [] },
    });
    expect(exchanged[0]).toMatchObject({
      key,
      siteId: "site-a",
      stage: { $case: "advertise", value: { aborts: [{ attempt: 1 }] } },
    });
    const path = [bytes, bytes];
    const shares = [{ fromSite: "site-a", toSite: "site-b", ciphertext: bytes, path }];
    const sealed = { shares, root: bytes, signature: abort.signature };
    await expect(client.exchange({ stage: "share", sealed }, call)).rejects.toMatchObject({ code: "stale" });
  });

  it("uploads header, chunks in order and seal", async () => {
    const upload = MaskedUpload.mask({
      words: 70_000,
      encoder: () => () => {},
      selfKey: new Uint8Array(32).fill(1),
      pairwise: [
        { key: new Uint8Array(32).fill(2), sign: 1 },
        { key: new Uint8Array(32).fill(3), sign: -1 },
      ],
      seal: () => new Uint8Array(64).fill(4),
    });
    expect(await client.upload(upload, call)).toEqual({ kind: "survivors", uploads: [] });
    const chunks = await all(upload.chunks());
    expect(uploaded[0]!.part).toEqual({ $case: "header", value: { key, siteId: "site-a", words: 70_000 } });
    expect(uploaded.slice(1, -1).map(({ part }) => part)).toEqual(
      chunks.map((words, index) => ({ $case: "chunk", value: { index, words: Buffer.from(words) } })),
    );
    const sha256 = createHash("sha256").update(Buffer.concat(chunks)).digest();
    expect(uploaded.at(-1)!.part).toEqual({ $case: "seal", value: { sha256, signature: Buffer.alloc(64, 4) } });
    expect(traffic.sent).toBe(280_000);
  });

  it("calls a coordinator that goes away in the middle of a call unreachable", async () => {
    const waiting = client.exchange({ stage: "unmask", reveals: [] }, call);
    waiting.catch(() => {});
    while (exchanged.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    server.forceShutdown();
    await expect(waiting).rejects.toMatchObject({ code: "unreachable" });
    await expect(client.exchange({ stage: "unmask", reveals: [] }, call)).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  it("ends a call that is no longer wanted", async () => {
    const stopping = new AbortController();
    const waiting = client.exchange({ stage: "unmask", reveals: [] }, { ...call, signal: stopping.signal });
    while (exchanged.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stopping.abort();
    await expect(waiting).rejects.toBeInstanceOf(AbortedError);
  });
});

describe("plans and results of any size", () => {
  const sized = (label: string, bytes: number) => {
    const body = Buffer.alloc(bytes);
    return { body, signature: Buffer.from(planKey.sign(Buffer.concat([Buffer.from(label), body]))) };
  };

  it("are refused before they are read, whoever signed them", () => {
    const plan = sized(planSignatureLabel, mostPlanBytes + 1);
    expect(() => verifiedPlan(plan, planKey.publicKey)).toThrow(/2097153 bytes is not read/);
    const result = sized(resultSignatureLabel, mostResultBytes + 1);
    expect(() => verifiedResult(result, planKey.publicKey)).toThrow(/262145 bytes is not read/);
  });

  it("up to the limit are read, and then judged by what they say", () => {
    const plan = sized(planSignatureLabel, mostPlanBytes);
    expect(() => verifiedPlan(plan, planKey.publicKey)).not.toThrow(/is not read/);
  });
});
