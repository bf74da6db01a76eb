import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { silentLogger } from "@consilium/shared/log.js";
import { callClientStream, callUnary } from "@consilium/shared/rpc/calls.js";
import {
  FederationServiceClient,
  type FederationServiceServer,
  FederationServiceService,
  SiteReport,
} from "@consilium/shared/rpc/gen/federation.js";
import {
  SecAggServiceClient,
  type SecAggServiceServer,
  SecAggServiceService,
  UploadPart,
} from "@consilium/shared/rpc/gen/secagg.js";
import { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { credentials, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EgressRecord } from "../audit/egress-record.js";
import { RecordedTrail } from "../audit/test-log.js";
import type { CoordinatorClient } from "../round/coordinator.js";
import { coordinatorClient } from "./coordinator-client.js";
import { egressDoor } from "./egress-door.js";
import { askManifest } from "./egress-manifest.js";

const key = { runId: "run-1", round: 1, attempt: 2 };
const report: SiteReport = { key, siteId: "site-a", phase: 2, code: "", clause: "", stepsDone: 7, accused: "" };

/** How many bytes of messages the server read. */
let arrived: { reports: number; parts: number; exchanges: number };

const federationService: FederationServiceServer = {
  attach: (call) => call.end(),
  fetchCheckpoint: (call) => call.end(),
  fetchResults: (call) => call.end(),
  fetchAggregate: (call) => call.end(),
  fetchRosters: (call) => call.end(),
  report(call, callback) {
    arrived.reports += SiteReport.encode(call.request).finish().length;
    callback(null, {});
  },
  renewCertificate: (_call, callback) => callback(null, { certificatePem: "", caPem: "" }),
};
const secaggService: SecAggServiceServer = {
  exchange(_call, callback) {
    arrived.exchanges++;
    callback(null, { outcome: { $case: "dropped", value: { reason: "deadline" } } });
  },
  upload(call, callback) {
    call.on("data", (part: UploadPart) => {
      arrived.parts += UploadPart.encode(part).finish().length;
    });
    call.on("end", () => callback(null, { outcome: { $case: "survivors", value: { uploads: [] } } }));
  },
};

let server: Server;
let federation: FederationServiceClient;
let client: CoordinatorClient;
let trail: RecordedTrail;
let egress: EgressRecord;
let left: Map<string, number>;

beforeEach(async () => {
  arrived = { reports: 0, parts: 0, exchanges: 0 };
  trail = new RecordedTrail();
  left = new Map();
  const onLeft = (kind: string, bytes: number) => left.set(kind, (left.get(kind) ?? 0) + bytes);
  egress = new EgressRecord({ trail, logger: silentLogger, onLeft });
  server = new Server();
  server.addService(FederationServiceService, federationService);
  server.addService(SecAggServiceService, secaggService);
  const port = await new Promise<number>((done, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : reject(error),
    );
  });
  const options = { interceptors: [egressDoor(egress)] };
  federation = new FederationServiceClient(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  secagg = new SecAggServiceClient(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  const traffic = { sent() {}, received() {}, rejected() {} };
  client = coordinatorClient({
    ...{ federation, secagg, traffic, siteId: "site-a", agentVersion: "1", logger: silentLogger },
    planPublicKey: new Uint8Array(32),
    gate: { admits: () => true },
  });
});
afterEach(() => server.forceShutdown());

let secagg: SecAggServiceClient;

const call = { key, timeoutMs: 10_000, signal: new AbortController().signal };
const send = (message: SiteReport) => callUnary(federation.report.bind(federation), message);

const sealed = { shares: [], root: new Uint8Array(32), signature: new Uint8Array(64) };
const upload = () =>
  MaskedUpload.mask({
    words: 70_000,
    encoder: () => () => {},
    selfKey: new Uint8Array(32).fill(1),
    pairwise: [
      { key: new Uint8Array(32).fill(2), sign: 1 },
      { key: new Uint8Array(32).fill(3), sign: -1 },
    ],
    seal: () => new Uint8Array(64),
  });

describe("the door", () => {
  it("counts every byte that leaves, by kind", async () => {
    await send(report);
    await send({ ...report, stepsDone: 8 });
    await client.upload(upload(), call);
    egress.flush();
    expect(left).toEqual(new Map([...[["report", arrived.reports] as const], ["upload", arrived.parts]]));
    expect(trail.events).toMatchObject([
      { action: "message.released", object: { run: "run-1", round: 1, attempt: 2, kind: "upload", bytes: 280_000 } },
      { action: "update.uploaded", object: { bytes: arrived.parts }, corrId: "run-1/1/2" },
      { action: "traffic.counted", object: { run: "run-1", kind: "report", messages: 2, bytes: arrived.reports } },
    ]);
  });

  it("lets no chunk of an update out before the header that speaks for it", async () => {
    const parts = async function* (): AsyncGenerator<UploadPart> {
      yield { part: { $case: "chunk", value: { index: 0, words: Buffer.alloc(8) } } };
    };
    const sent = callClientStream(secagg.upload.bind(secagg), parts(), { timeoutMs: 10_000 });
    await expect(sent).rejects.toMatchObject({ code: "internal", message: expect.stringMatching(/no header yet/) });
    expect(arrived.parts).toBe(0);
    expect(trail.events).toEqual([]);
  });

  it("has the entry written before a share, a key or an update leaves, and sends none without", async () => {
    trail.failure = new ConsiliumError("storage", "the audit log cannot be written (ENOSPC)", { remedy: "free space" });
    const refused = { code: "storage", message: "the audit log cannot be written (ENOSPC)", remedy: "free space" };
    await expect(client.exchange({ stage: "share", sealed }, call)).rejects.toMatchObject(refused);
    await expect(client.upload(upload(), call)).rejects.toMatchObject(refused);
    expect(arrived).toEqual({ reports: 0, parts: 0, exchanges: 0 });
    trail.failure = undefined;
    expect(await client.exchange({ stage: "share", sealed }, call)).toMatchObject({ kind: "dropped" });
    expect(trail.actions).toEqual(["message.released"]);
  });

  it("says how an upload ended that was cut", async () => {
    const stopping = new AbortController();
    const endless = Object.assign(Object.create(upload()) as MaskedUpload, {
      async *chunks() {
        yield new Uint8Array(8);
        await new Promise(() => {});
      },
    });
    Object.defineProperty(endless, "words", { value: 4 });
    const waiting = client.upload(endless, { ...call, signal: stopping.signal });
    while (arrived.parts < 20) await new Promise((done) => setTimeout(done, 5));
    stopping.abort();
    await expect(waiting).rejects.toThrow();
    while (trail.events.length < 2) await new Promise((done) => setTimeout(done, 5));
    expect(trail.events[1]).toMatchObject({ action: "update.uploaded", outcome: "failure", reason: "cancelled" });
  });

  it("sends nothing that the manifest does not list", async () => {
    const bad: [SiteReport, string][] = [
      [Object.assign({ path: "/srv/images/Mustermann.dcm" }, report), "path"],
      [{ ...report, code: "no such file" }, "code"],
      [{ ...report, code: "mustermann" }, "code"],
      [{ ...report, clause: "Mustermann" }, "clause"],
      [{ ...report, siteId: "Mustermann Max" }, "siteId"],
      [{ ...report, stepsDone: 0.5 }, "stepsDone"],
      [{ ...report, accused: "site-b" }, "accused"],
      [{ ...report, code: "share-invalid", accused: "Mustermann Max" }, "accused"],
      [{ ...report, key: Object.assign({ patient: "M" }, key) }, "key.patient"],
    ];
    for (const [message, field] of bad) {
      await expect(send(message)).rejects.toThrow(`the manifest does not allow its field "${field}"`);
    }
    expect(arrived.reports).toBe(0);
    expect(new Set(trail.events.map(({ action, reason }) => `${action} ${reason}`))).toEqual(
      new Set(["egress.stopped report"]),
    );
    expect(left.size).toBe(0);
  });

  it("sends no header of ours", async () => {
    const metadata = new Metadata();
    metadata.set("patient", "Mustermann");
    const sent = new Promise((done, reject) => {
      federation.report(report, metadata, (error) => (error === null ? done("sent") : reject(error)));
    });
    await expect(sent).rejects.toThrow("patient");
    expect(arrived.reports).toBe(0);
  });
});

describe("the manifest", () => {
  const path = "/consilium.v1.FederationService/Report";

  it("allows no call that it does not list", () => {
    expect(askManifest("/consilium.v1.AdminService/ListRuns", {})).toMatchObject({ kind: "unlisted" });
    expect(askManifest("toString", {})).toMatchObject({ kind: "unlisted" });
  });

  it("allows no further field, whatever its name and value", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.jsonValue(), (name, value) => {
        fc.pre(!Object.hasOwn(report, name) && name !== "__proto__");
        expect(askManifest(path, { ...report, [name]: value })).toHaveProperty("objection");
      }),
    );
  });

  it("allows no text in place of a code", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom("code", "clause"), (text, field) => {
        expect(askManifest(path, { ...report, [field]: text })).toHaveProperty("objection");
      }),
    );
  });

  it("is asked by everything that calls the coordinator: no other file of the agent makes a client", () => {
    const source = resolve(dirname(fileURLToPath(import.meta.url)), "..");
    const callers = (readdirSync(source, { recursive: true }) as string[])
      .filter((name) => name.endsWith(".ts") && !name.includes(".test.") && !/(^|\/)test-/.test(name))
      .filter((name) => /ServiceClient\(|\.client\(/.test(readFileSync(join(source, name), "utf8")))
      .map((name) => relative(".", name));
    expect(callers.sort()).toEqual(["rpc/coordinator-client.ts", "rpc/enrolment-client.ts", "rpc/roster-client.ts"]);
  });
});
