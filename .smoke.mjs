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
const logger = process.argv[2] ? createLogger({ level: "debug", name: "c" }) : silentLogger;
let coordinator = await startCoordinator({ home, logger });
await startCoordinator({ home, logger }).catch((e) => console.log("second start:", e.code, e.message));
console.log(coordinator.ready);
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
async function play({ siteId, identity, client }) {
  for await (const d of client.attach(stop.signal)) {
    if (d.kind !== "plan") { if (d.kind !== "heartbeat") console.log(siteId, d.kind); continue; }
    void participate(siteId, identity, client, d.received).catch((e) => console.log(siteId, "ERR", e.code, e.message));
  }
}
async function participate(siteId, identity, client, received) {
  const { plan } = received; const { key } = plan;
  let bytes = 0;
  for await (const c of client.fetchCheckpoint({ key, digest: plan.checkpointDigest, offset: 0, signal: stop.signal })) bytes += c.data.length;
  if (bytes !== plan.checkpointBytes) throw new Error("short checkpoint");
  await client.report({ key, phase: "training", stepsDone: 1, code: "", clause: "" }, stop.signal);
  const layout = parameterLayout(JSON.parse(plan.runConfigJson));
  const delta = new Float32Array(plan.dimension).map(() => (Math.random() - 0.5) * 1e-3);
  deltas[siteId] = delta;
  const session = new SiteSession({ received, siteId, identity, entropy: systemEntropy, floors: { minCohort: 3, maxColluders: 0, minSites: 3 } });
  const call = { key, timeoutMs: 60000, signal: stop.signal };
  const u1 = await client.exchange({ stage: "advertise", advert: session.advertise(), value: session.advertise(), kind: "advertise" }, call);
  if (u1.kind !== "advertised") return console.log(siteId, "u1", u1);
  const adverts = u1.adverts ?? u1.value;
  const sh = session.share(adverts);
  if (siteId === "east" && key.round === 1) { await client.report({ key, phase: "failed", stepsDone: 1, code: "not-finite", clause: "" }, stop.signal); console.log("east leaves before share"); return; }
  const u2 = await client.exchange({ stage: "share", shares: sh, kind: "share", value: sh }, call);
  if (u2.kind !== "delivered") return console.log(siteId, "u2", u2);
  const upload = session.mask(u2.delivered ?? u2, { delta, tensorSizes: layout.parameters.map((p) => p.size), sampleCount: 10, meanLoss: 2, steps: 1 });
  const u3 = await client.upload(upload, call);
  if (u3.kind !== "survivors") return console.log(siteId, "u3", u3);
  const reveals = session.reveal(u3.sites);
  const r = await client.exchange({ stage: "unmask", kind: "unmask", reveals, value: reveals }, call);
  if (siteId === "north") console.log("result", r.kind, JSON.stringify(r).slice(0, 200));
}
for (const s of sites) void play(s).catch((e) => console.log(s.siteId, "attach ended", e.code, e.message));
const yaml = `
name: tiny
modality: dermatology
model: { architecture: vit-nano, imageSize: 16, patchSize: 8 }
method: { name: simclr, projectionDim: 8 }
optimizer: { learningRate: 0.001 }
training: { batchSize: 2, stepsPerRound: 20 }
rounds: 3
cohort: { minSites: 3 }
deadlines: { trainingSeconds: 20, stageSeconds: 10 }
`;
const run = await admin.launchRun({ requestId: "r1", configYaml: yaml });
for await (const d of admin.watchRun(run.runId, stop.signal)) console.log(d.summary.status, d.summary.roundsDone, d.current?.stage, d.current?.waitingFor);
const detail = await admin.getRun(run.runId);
console.log(JSON.stringify(detail.history, null, 1).slice(0, 1500));
const weights = [];
for await (const c of admin.fetchWeights({ runId: run.runId }, stop.signal)) weights.push(c.data);
console.log("weights", Buffer.concat(weights).length);
const metrics = await (await fetch("http://127.0.0.1:18790/metrics")).text();
console.log(metrics.split("\n").filter((l) => l.startsWith("consilium") && !l.includes("bucket")).join("\n"));
console.log(await (await fetch("http://127.0.0.1:18790/healthz")).text());
await admin.revokeSite("west").then((s) => console.log("revoked", s.status, s.attached));
// exactness: last round's mean
const dir = join(home, "checkpoints");
const h = detail.history;
const before = (await readSafetensors(join(dir, `${h[2].parentDigest}.safetensors`))).tensors;
const after = (await readSafetensors(join(dir, `${h[2].checkpointDigest}.safetensors`)));
let at = 0, worst = 0;
const layout = parameterLayout(JSON.parse(detail.configJson));
const tensorsOf = (t, n) => (t instanceof Map ? t.get(n) : t.find?.((x) => x.name === n) ?? t[n]).data;
for (const p of layout.parameters) {
  const a = tensorsOf(after.tensors, p.name), b = tensorsOf(before, p.name);
  for (let i = 0; i < p.size; i++, at++) {
    let m = 0; for (const s of h[2].cohort) m += deltas[s][at]; m /= h[2].cohort.length;
    worst = Math.max(worst, Math.abs(a[i] - b[i] - m));
  }
}
console.log("max error", worst, after.metadata);
await new Promise((r) => setTimeout(r, 300));
stop.abort();
const t = Date.now();
await coordinator.stop();
console.log("stopped in", Date.now() - t);
admin.close(); for (const s of sites) s.channel.close();
