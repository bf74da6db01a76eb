import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deferred } from "@consilium/shared/abort.js";
import { systemClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateAuthority, createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Role } from "@consilium/shared/identity/peer-identity.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { silentLogger } from "@consilium/shared/log.js";
import { chunksOfBytes } from "@consilium/shared/rpc/chunks.js";
import { AdminServiceService, type LaunchPart } from "@consilium/shared/rpc/gen/admin.js";
import { wrapClientStream, wrapServerStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import { createServer, type RpcServer } from "@consilium/shared/rpc/server.js";
import { TlsServerCredentials } from "@consilium/shared/rpc/server-credentials.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runDetail, runSummary } from "../cli/test-surroundings.js";
import type { RunDetail } from "../round/progress.js";
import { connectAdmin } from "./admin-client.js";
import type { Admin } from "./admin-types.js";

const federation = "skin";
const weights = Buffer.alloc(700_000, 7);
const hooks = { log: silentLogger };
const watched = deferred<void>();
const watchEnded = deferred<void>();

async function bundleFor(authority: CertificateAuthority, role: Role): Promise<TlsBundle> {
  const key = await generateTlsKey();
  const names = role === "coordinator" ? { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] } : {};
  const { certificatePem } = authority.issueLeaf({
    identity: { federation, role, id: role },
    publicKeyPem: key.publicKeyPem,
    validForMs: 3_600_000,
    ...names,
  });
  return { caPem: authority.certificatePem, certPem: certificatePem, keyPem: key.privateKeyPem };
}

function message(detail: RunDetail) {
  return {
    ...detail,
    history: [...detail.history].map((record) => ({ ...record, cohort: [], dropped: [] })),
    current: undefined,
  };
}

async function* watchReplies(signal: AbortSignal) {
  yield message(runDetail());
  watched.resolve();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  watchEnded.resolve();
}

const implementation = {
  launchRun: wrapUnary(({ requestId, configYaml }: { requestId: string; configYaml: string }) => {
    return runSummary({ runId: requestId, name: configYaml });
  }, hooks),
  launchRunFrom: wrapClientStream(async (parts: AsyncIterable<LaunchPart>) => {
    const values: Buffer[] = [];
    for await (const { part } of parts) {
      if (part?.$case === "values") values.push(part.value.data);
      if (part?.$case === "header" && part.value.configYaml === "wrong") {
        throw new ConsiliumError("config-invalid", "run file:1: wrong");
      }
    }
    return runSummary({ checkpointDigest: createHash("sha256").update(Buffer.concat(values)).digest("hex") });
  }, hooks),
  listRuns: wrapUnary(() => ({ runs: [runSummary()] }), hooks),
  getRun: wrapUnary(({ runId }: { runId: string }) => {
    if (runId === "r-1") return message(runDetail());
    if (runId === "bare") return { ...message(runDetail()), summary: undefined };
    throw new ConsiliumError("not-found", `There is no run ${runId}.`, { remedy: "List the runs." });
  }, hooks),
  stopRun: wrapUnary(({ runId }: { runId: string }) => runSummary({ runId, status: "stopped" }), hooks),
  resumeRun: wrapUnary(({ runId }: { runId: string }) => runSummary({ runId, status: "running" }), hooks),
  watchRun: wrapServerStream((_: { runId: string }, { signal }) => watchReplies(signal), hooks),
  fetchWeights: wrapServerStream(async function* ({ round }: { runId: string; round?: number | undefined }) {
    yield* chunksOfBytes(weights.subarray(0, round === undefined ? weights.length : round));
  }, hooks),
  inviteSite: wrapUnary(({ siteId, validHours }: { siteId: string; validHours: number }) => {
    return { siteId, token: "token", expiresAtMs: validHours };
  }, hooks),
  listSites: wrapUnary(() => ({ sites: [] }), hooks),
  revokeSite: wrapUnary(() => Promise.reject(new ConsiliumError("internal", "/secret/path")), hooks),
};

const paths = Object.values(AdminServiceService).map(({ path }) => path);
const table: Record<string, readonly Role[]> = Object.fromEntries(paths.map((path) => [path, ["operator"]]));

let server: RpcServer;
let port: number;
let operator: TlsBundle;
let site: TlsBundle;
let stranger: TlsBundle;
let admin: Admin;

beforeAll(async () => {
  const folder = () => mkdtempSync(join(tmpdir(), "consilium-admin-"));
  const authority = await createAuthority({ directory: folder(), federation });
  const other = await createAuthority({ directory: folder(), federation });
  const coordinator = await bundleFor(authority, "coordinator");
  [operator, site, stranger] = [
    await bundleFor(authority, "operator"),
    await bundleFor(authority, "site"),
    await bundleFor(other, "operator"),
  ];
  server = createServer({
    host: "127.0.0.1",
    port: 0,
    credentials: TlsServerCredentials.mutual(coordinator),
    services: [{ definition: AdminServiceService, implementation }],
    authorisation: { federation, table, isRevoked: () => false, clock: systemClock },
    hooks,
    drainMs: 100,
  });
  port = await server.start();
  admin = connectAdmin({ host: "127.0.0.1", port, federation, tls: operator });
}, 120_000);

afterAll(async () => {
  admin.close();
  await server.stop();
});

describe("connectAdmin", () => {
  it("carries requests and answers", async () => {
    expect(await admin.launchRun({ requestId: "q", configYaml: "text" })).toMatchObject({ runId: "q", name: "text" });
    expect(await admin.listRuns()).toEqual([runSummary()]);
    expect(await admin.getRun("r-1")).toEqual(runDetail());
    expect((await admin.stopRun("r-1")).status).toBe("stopped");
    expect((await admin.resumeRun("r-1")).status).toBe("running");
    expect(await admin.inviteSite({ siteId: "a", validHours: 5 })).toEqual({
      siteId: "a",
      token: "token",
      expiresAtMs: 5,
    });
    expect(await admin.listSites()).toEqual([]);
  });

  describe("launching with weights", () => {
    const { signal } = new AbortController();
    const request = { requestId: "q", configYaml: "text", sourceSha256: "ab" };

    it("sends them in order, and gives back the run", async () => {
      const blocks = [new Float32Array(5).fill(1), new Float32Array(200_000).fill(-2), new Float32Array(0)];
      const values = (async function* () {
        yield* blocks;
      })();
      const sent = Buffer.concat(blocks.map((block) => Buffer.from(block.buffer)));
      const digest = createHash("sha256").update(sent).digest("hex");
      expect(await admin.launchRunFrom({ ...request, values }, signal)).toMatchObject({ checkpointDigest: digest });
    });

    it("stops sending when the answer comes first", async () => {
      let asked = 0;
      const values = (async function* () {
        for (; asked < 1000; asked++) yield new Float32Array(2 ** 18);
      })();
      const launch = admin.launchRunFrom({ ...request, configYaml: "wrong", values }, signal);
      await expect(launch).rejects.toMatchObject({ code: "config-invalid" });
      expect(asked).toBeLessThan(100);
    });

    it("passes on what reading the weights throws", async () => {
      const values = (async function* () {
        yield new Float32Array(3);
        throw new ConsiliumError("input-unreadable", "the file is damaged");
      })();
      await expect(admin.launchRunFrom({ ...request, values }, signal)).rejects.toMatchObject({
        code: "input-unreadable",
      });
    });
  });

  it("fetches weights in order", async () => {
    const hash = createHash("sha256");
    for await (const { data } of admin.fetchWeights({ runId: "r-1" }, new AbortController().signal)) hash.update(data);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(weights).digest("hex"));
  });

  it("ends a watch on both sides when its signal fires", async () => {
    const stopping = new AbortController();
    const seen: RunDetail[] = [];
    const watching = (async () => {
      for await (const detail of admin.watchRun("r-1", stopping.signal)) seen.push(detail);
    })();
    await watched.promise;
    await expect.poll(() => seen).toEqual([runDetail()]);
    stopping.abort();
    await expect(watching).rejects.toMatchObject({ name: "AbortedError" });
    await watchEnded.promise;
  });

  it("passes on the coordinator's error with its remedy, and nothing of an inner one", async () => {
    await expect(admin.getRun("r-9")).rejects.toMatchObject({ code: "not-found", remedy: "List the runs." });
    await expect(admin.revokeSite("a")).rejects.toMatchObject({
      code: "internal",
      message: expect.not.stringContaining("secret"),
    });
  });

  it("says so when an answer is not complete", async () => {
    await expect(admin.getRun("bare")).rejects.toMatchObject({ code: "internal" });
  });
});

describe("a connection that does not come about", () => {
  it.each([
    ["of another role", () => site, "not-authorised"],
    ["of another authority", () => stranger, "certificate-refused"],
  ] as const)("with a certificate %s", async (_, tls, code) => {
    const other = connectAdmin({ host: "127.0.0.1", port, federation, tls: tls() });
    await expect(other.listRuns()).rejects.toMatchObject({ code });
    other.close();
  });

  it("where nothing listens", async () => {
    const other = connectAdmin({ host: "127.0.0.1", port: 1, federation, tls: operator });
    const refused = { code: "unreachable", message: "Nothing listens on 127.0.0.1:1." };
    await expect(other.listRuns()).rejects.toMatchObject(refused);
    const watching = other.watchRun("r-1", new AbortController().signal)[Symbol.asyncIterator]();
    await expect(watching.next()).rejects.toMatchObject(refused);
    other.close();
  });
});
