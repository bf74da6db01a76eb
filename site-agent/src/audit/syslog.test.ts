import { mkdtempSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer as createPlainServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { atnaMessage, isWarning } from "./atna-message.js";
import { type AuditEntry, auditObjects } from "./audit-entry.js";
import { readEntries } from "./read-log.js";
import { type SyslogTarget, sendSyslog, syslogFrame } from "./syslog.js";
import { newDirectory, testLog } from "./test-log.js";

let server: Server;
let received: Buffer[];
let target: SyslogTarget;
let strangerCert: string;

/** A collector that wants the sender's certificate, made by the same authority as its own. */
beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "syslog-"));
  const authority = await createAuthority({ directory, federation: "demo" });
  const key = await generateTlsKey();
  const publicKeyPem = key.publicKeyPem;
  const shared = { publicKeyPem, validForMs: 3_600_000 };
  const collector = authority.issueLeaf({
    ...{ ...shared, identity: { federation: "demo", role: "coordinator", id: "collector" }, dnsNames: ["localhost"] },
  });
  const site = authority.issueLeaf({ ...shared, identity: { federation: "demo", role: "site", id: "site-a" } });
  const otherAuthority = await createAuthority({
    directory: mkdtempSync(join(tmpdir(), "syslog-other-")),
    federation: "demo",
  });
  const stranger = otherAuthority.issueLeaf({
    ...shared,
    identity: { federation: "demo", role: "site", id: "site-a" },
  });
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  strangerCert = file("stranger.pem", stranger.certificatePem);
  const trust = { ca: authority.certificatePem, requestCert: true, rejectUnauthorized: true };
  server = createServer({ ...trust, cert: collector.certificatePem, key: key.privateKeyPem }, (socket) => {
    socket.on("data", (data: Buffer) => received.push(data));
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
  });
  await new Promise<void>((done) => server.listen(0, "localhost", done));
  target = {
    ...{ host: "localhost", port: (server.address() as AddressInfo).port },
    ca: file("ca.pem", authority.certificatePem),
    cert: file("site.pem", site.certificatePem),
    key: file("site.key", key.privateKeyPem),
  };
});
beforeEach(() => {
  received = [];
});
afterAll(() => server.close());

/** Messages of a byte stream in RFC 5425 framing. */
function messagesIn(stream: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const space = stream.indexOf(" ", at);
    const length = Number(stream.subarray(at, space).toString());
    messages.push(stream.subarray(space + 1, space + 1 + length).toString());
    at = space + 1 + length;
  }
  return messages;
}

const source = { siteId: "site-a", federation: "demo" };

function someEntries(): AuditEntry[] {
  const directory = newDirectory();
  const log = testLog(directory);
  const about = { run: "run-1", round: 1, attempt: 0 };
  log.record({ action: "agent.started", object: { version: "1.0.0" } });
  log.record({ action: "plan.refused", object: about, outcome: "refused", reason: "jobs.maxRounds" });
  log.record({ action: "data.opened", object: { ...about, dataset: "0011", images: 12 } });
  log.record({ action: "update.uploaded", object: { ...about, bytes: 4096 }, corrId: "run-1/1/0" });
  log.record({ action: "log.read", object: { command: "audit-show" }, actor: "user:müller", role: "operator" });
  log.close();
  return [...readEntries(directory)];
}

const framesOf = (entries: readonly AuditEntry[]) =>
  entries.map((entry) => {
    const text = atnaMessage(entry, source);
    return syslogFrame({ at: entry.ts, host: "site-a", isWarning: isWarning(entry), processId: "7", text });
  });

describe("audit messages for a collector", () => {
  it("arrive over mutual TLS, framed, as syslog with an AuditMessage each", async () => {
    const entries = someEntries();
    expect(await sendSyslog(target, framesOf(entries))).toBe(6);
    const messages = messagesIn(Buffer.concat(received));
    expect(messages).toHaveLength(6);
    const head = "1 2026-01-15T00:00:00.000Z site-a consilium-agent 7 DICOM+RFC3881 - \ufeff<AuditMessage>";
    expect(messages[0]).toContain(`<85>${head}`);
    expect(messages[1]).toContain(`<84>${head}`);
    for (const message of messages) expect(message).toMatch(/<\/AuditMessage>$/);
  });

  it("say in DICOM's codes what happened", () => {
    const [started, refused, opened, uploaded, read] = someEntries().map((entry) => atnaMessage(entry, source));
    expect(started).toContain('EventActionCode="E" EventDateTime="2026-01-15T00:00:00.000Z" EventOutcomeIndicator="0"');
    expect(started).toContain('<EventID csd-code="110100" codeSystemName="DCM" originalText="Application Activity"/>');
    expect(started).toContain('<EventTypeCode csd-code="110120"');
    expect(refused).toContain('csd-code="110113"');
    expect(refused).toContain('EventOutcomeIndicator="4"');
    expect(refused).toContain("<EventOutcomeDescription>jobs.maxRounds</EventOutcomeDescription>");
    expect(opened).toContain('csd-code="110103"');
    expect(opened).toContain(`type="images" value="${Buffer.from("12").toString("base64")}"`);
    expect(uploaded).toMatch(/UserID="agent"[^>]*><RoleIDCode csd-code="110153".*UserID="coordinator".*110152/);
    expect(uploaded).toContain('ParticipantObjectID="run-1"');
    expect(read).toContain('UserID="user:müller"');
    expect(read).toContain('<AuditSourceIdentification AuditEnterpriseSiteID="demo" AuditSourceID="site-a">');
  });

  it("has a code for every action", () => {
    const [entry] = someEntries();
    for (const action of Object.keys(auditObjects)) {
      const text = atnaMessage({ ...entry!, action } as AuditEntry, source);
      expect(text).toMatch(/<EventID csd-code="1101\d\d"/);
    }
  });

  it("escape what XML would read as its own", () => {
    const [entry] = someEntries();
    const text = atnaMessage({ ...entry!, reason: `a<b>&"c'` }, { ...source, federation: '"><x/>' });
    expect(text).toContain("a&lt;b&gt;&amp;&quot;c&apos;");
    expect(text).not.toContain("<x/>");
  });

  it("go at the collector's pace, however many", async () => {
    const [entry] = someEntries();
    const many = Array.from({ length: 3000 }, () => entry!);
    expect(await sendSyslog(target, framesOf(many))).toBe(3000);
    expect(messagesIn(Buffer.concat(received))).toHaveLength(3000);
  });

  it("do not go to a collector of another authority, nor from a sender that it does not know", async () => {
    await expect(sendSyslog({ ...target, ca: strangerCert }, framesOf(someEntries()))).rejects.toMatchObject({
      code: "certificate-refused",
    });
    await expect(sendSyslog({ ...target, cert: strangerCert }, framesOf(someEntries()))).rejects.toMatchObject({
      code: "certificate-refused",
    });
    expect(received).toEqual([]);
  });

  it("name the file that is wrong, and a port without TLS", async () => {
    const invalid = (message: string) => expect.objectContaining({ code: "config-invalid", message });
    const { cert, key } = target;
    await expect(sendSyslog({ ...target, key: cert }, [])).rejects.toEqual(
      invalid(`${cert} is not the key of ${cert}`),
    );
    await expect(sendSyslog({ ...target, ca: key }, [])).rejects.toEqual(invalid(`${key} is no certificate in PEM`));
    await expect(sendSyslog({ ...target, cert: key }, [])).rejects.toEqual(invalid(`${key} is no certificate in PEM`));
    const plain = createPlainServer((socket) => socket.on("error", () => {}).end("no TLS here\n"));
    await new Promise<void>((done) => plain.listen(0, "localhost", done));
    const { port } = plain.address() as AddressInfo;
    await expect(sendSyslog({ ...target, port }, [])).rejects.toMatchObject({
      ...{ code: "unreachable", message: expect.stringContaining("does not speak TLS") },
    });
    plain.close();
  });

  it("say when nobody answers, or a file is missing", async () => {
    await expect(sendSyslog({ ...target, port: 1 }, [])).rejects.toMatchObject({ code: "unreachable" });
    await expect(sendSyslog({ ...target, key: "/nonexistent" }, [])).rejects.toMatchObject({ code: "config-missing" });
  });
});
