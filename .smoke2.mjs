import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCoordinator } from "@consilium/coordinator/coordinator.js";
import { initCoordinator } from "@consilium/coordinator/init.js";
import { loadProfile } from "@consilium/coordinator/cli/profile.js";
import { connectAdmin } from "@consilium/coordinator/rpc/admin-client.js";
import { createLogger, silentLogger } from "@consilium/shared/log.js";
import { decodeInvitation } from "@consilium/shared/identity/invitation.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { createCertificateRequest } from "@consilium/shared/identity/certificate-request.js";
import { openChannel } from "@consilium/shared/rpc/channel.js";
import { FederationServiceClient } from "@consilium/shared/rpc/gen/federation.js";
import { SecAggServiceClient } from "@consilium/shared/rpc/gen/secagg.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { enrol } from "./site-agent/dist/rpc/enrolment-client.js";
import { coordinatorClient } from "./site-agent/dist/rpc/coordinator-client.js";
import { SiteSession } from "./site-agent/dist/secagg/site-session.js";

const home = join(mkdtempSync(join(tmpdir(), "smoke-")), "home");
await initCoordinator({ home, federation: "demo", host: "localhost", port: 18700, enrolPort: 18701, metricsPort: 18790 });
await initCoordinator({ home, federation: "demo" }).catch((e) => console.log("second init:", e.code));

import { spawn } from "node:child_process";
let child;
const exits = [];
function boot(failpoint) {
  return new Promise((resolve) => {
    child = spawn(process.execPath, ["coordinator/bin/consilium.mjs", "coordinator", "serve", "--home", home, "--log-level", "warn"], { env: { ...process.env, ...(failpoint ? { CONSILIUM_FAILPOINT: failpoint } : {}) } });
    child.stdout.on("data", (d) => String(d).includes("ready") && resolve());
    child.stderr.on("data", (d) => process.stderr.write(d));
    child.on("exit", (code, signal) => { exits.push(signal ?? code); if (!done) setTimeout(() => boot(), 200); resolve(); });
  });
}
let done = false;
await boot();
const profile = await loadProfile({ option: join(home, "credentials/operator"), env: {}, userFolder: "/" });
const admin = connectAdmin({ host: "localhost", port: 18700, federation: "demo", tls: profile.tls ?? { caPem: profile.caPem, certPem: profile.certificatePem, keyPem: profile.privateKeyPem } });
const stop = new AbortController();
const sites = [];
for (const siteId of ["north", "south", "west", "east"]) {
  const { token } = await admin.inviteSite({ siteId, validHours: 1 });
  const invitation = decodeInvitation(token);
  const identity = IdentityKey.generate();
  const key = await generateTlsKey();
  const enrolled = await enrol(invitation, { csrPem: createCertificateRequest(key, siteId), identityPublicKey: identity.publicKey });
  const bundle = { caPem: enrolled.caPem, certPem: enrolled.certificatePem, keyPem: key.privateKeyPem };
  const channel = openChannel({ host: "localhost", port: 18700, federation: "demo", bundle });
  const client = coordinatorClient({ federation: channel.client(FederationServiceClient), secagg: channel.client(SecAggServiceClient), siteId, agentVersion: "0", planPublicKey: enrolled.planPublicKey, traffic: { sent() {}, received() {} }, logger: silentLogger });
  sites.push({ siteId, identity, client, channel });
}
console.log("sites", (await admin.listSites()).map((s) => `${s.siteId} ${s.status} ${s.attached}`).join(", "));
const deltas = {};
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function again(f) { for (;;) { try { return await f(); } catch (e) { if (e.code !== "unreachable") throw e; await sleep(200); } } }
async function play(s) { for (;;) { try { await play1(s); } catch (e) { if (stop.signal.aborted) return; if (e.code !== "unreachable") console.log(s.siteId, "attach", e.code, e.message); } await sleep(200); } }
const active = new Set();
async function play1({ siteId, identity, client }) {
  for await (const d of client.attach(stop.signal)) {
    if (d.kind !== "plan") { if (d.kind !== "heartbeat") console.log(siteId, d.kind); continue; }
    const name = siteId + JSON.stringify(d.received.plan.key); if (active.has(name)) continue; active.add(name); void participate(siteId, identity, client, d.received).catch((e) => console.log(siteId, "ERR", e.code, e.message));
  }
}
async function participate(siteId, identity, client, received) {
  const { plan } = received; const { key } = plan;
  let bytes = 0;
  await again(async () => { bytes = 0; for await (const c of client.fetchCheckpoint({ key, digest: plan.checkpointDigest, offset: 0, signal: stop.signal })) bytes += c.data.length; });
  if (bytes !== plan.checkpointBytes) throw new Error("short checkpoint");
  await again(() => client.report({ key, phase: "training", stepsDone: 1, code: "", clause: "" }, stop.signal));
  const layout = parameterLayout(JSON.parse(plan.runConfigJson));
  const delta = new Float32Array(plan.dimension).map(() => (Math.random() - 0.5) * 1e-3);
  deltas[siteId] = delta;
  const session = new SiteSession({ received, siteId, identity, entropy: systemEntropy, floors: { minCohort: 3, maxColluders: 0, minSites: 3 } });
  const call = { key, timeoutMs: 60000, signal: stop.signal };
  const u1 = await again(() => client.exchange({ stage: "advertise", advert: session.advertise(), value: session.advertise(), kind: "advertise" }, call));
  if (u1.kind !== "advertised") return console.log(siteId, "u1", u1);
  const adverts = u1.adverts ?? u1.value;
  const sh = session.share(adverts);
  
  const u2 = await again(() => client.exchange({ stage: "share", shares: sh, kind: "share", value: sh }, call));
  if (u2.kind !== "delivered") return console.log(siteId, "u2", u2);
  const upload = session.mask(u2.delivered ?? u2, { delta, tensorSizes: layout.parameters.map((p) => p.size), sampleCount: 10, meanLoss: 2, steps: 1 });
  const u3 = await again(() => client.upload(upload, call));
  if (u3.kind !== "survivors") return console.log(siteId, "u3", u3);
  const reveals = session.reveal(u3.sites);
  const r = await again(() => client.exchange({ stage: "unmask", kind: "unmask", reveals, value: reveals }, call));
  if (false) console.log("result", r.kind, JSON.stringify(r).slice(0, 200));
}

for (const s of sites) void play(s);
const yaml = (n) => `
name: tiny
modality: dermatology
model: { architecture: vit-nano, imageSize: 16, patchSize: 8 }
method: { name: simclr, projectionDim: 8 }
optimizer: { learningRate: 0.001 }
training: { batchSize: 2, stepsPerRound: 20 }
rounds: 2
cohort: { minSites: 3 }
deadlines: { trainingSeconds: 20, stageSeconds: 10 }
`;
const points = ["plan/before-persist", "plan/after-persist", "plan/before-persist:2", "plan/after-persist:2", ...["advertise", "share", "upload", "unmask"].flatMap((s) => [`${s}/before-persist:2`, `${s}/after-persist:2`, `${s}/closed`]), "upload/middle", "upload/before-rename", "upload/file-durable:3", "aggregate/started", "checkpoint/durable", "commit/before", "commit/after"];
for (const point of points) {
  exits.length = 0;
  const before = child;
  await new Promise((r) => { before.removeAllListeners("exit"); before.once("exit", r); before.kill("SIGKILL"); });
  await boot(point);
  const t = Date.now();
  const run = await again(() => admin.launchRun({ requestId: point, configYaml: yaml() }));
  let detail;
  for (;;) { detail = await again(() => admin.getRun(run.runId)); if (detail.summary.status === "completed") break; if (Date.now() - t > 60000) { console.log("STUCK", JSON.stringify(detail, null, 1)); process.exit(1); } await sleep(200); }
  const h = detail.history;
  console.log(point.padEnd(28), exits.join(","), "attempts", h.map((r) => r.attempts).join(","), "cohorts", h.map((r) => r.cohort.length).join(","), "lineage", h[1].parentDigest === h[0].checkpointDigest && detail.summary.checkpointDigest === h[1].checkpointDigest, Date.now() - t, "ms");
}
done = true;
child.kill("SIGTERM");
await new Promise((r) => child.once("exit", r));
process.exit(0);
