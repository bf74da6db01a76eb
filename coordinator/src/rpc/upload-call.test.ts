import { createHash } from "node:crypto";
import type { UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import type { CallContext } from "@consilium/shared/rpc/serve-call.js";
import { beforeEach, describe, expect, it } from "vitest";
import { keyOf, sites, TestFederation } from "../round/test-federation.js";
import { type AdmissionCounts, admissionLimits, UploadAdmission } from "./upload-admission.js";
import { receiveUpload } from "./upload-call.js";

const context = (id: string): CallContext => ({
  method: "upload",
  identity: { federation: "demo", role: "site", id },
  fingerprint: "",
  serial: "",
  remoteAddress: "",
  signal: new AbortController().signal,
});

let federation: TestFederation;
let header: UploadPart;
let body: Buffer;
let admission: UploadAdmission;

beforeEach(async () => {
  federation = new TestFederation();
  admission = new UploadAdmission(admissionLimits);
  await federation.launch(1);
  federation.attach(...sites);
  await federation.all("advertise");
  await federation.all("share");
  body = Buffer.alloc(federation.uploadBytes, 3);
  header = headerOf(body.length / 4);
  return () => federation.remove();
});

const headerOf = (words: number): UploadPart => ({
  part: { $case: "header", value: { key: keyOf(federation.plan), siteId: "a", words } },
});
const chunk = (index: number, words: Buffer): UploadPart => ({ part: { $case: "chunk", value: { index, words } } });
const seal = (of: Buffer): UploadPart => ({
  part: {
    $case: "seal",
    value: {
      sha256: createHash("sha256").update(of).digest(),
      signature: Buffer.from(federation.sealOf("a", of)),
    },
  },
});

async function* stream(...parts: UploadPart[]): AsyncGenerator<UploadPart> {
  yield* parts;
}

const receive = (...parts: UploadPart[]) =>
  receiveUpload({ submissions: federation.parts.submissions, admission }, stream(...parts), context("a"));
const whole = () => [header, chunk(0, body.subarray(0, 100)), chunk(1, body.subarray(100)), seal(body)];

describe("receiveUpload()", () => {
  it("stores the vector, and answers with the survivors", async () => {
    const mine = receive(...whole());
    await federation.uploadsStored(1);
    const again = receive(...whole());
    await federation.all("upload", ["b", "c"]);
    expect((await mine).outcome).toEqual({ kind: "survivors", sites });
    expect((await again).outcome).toEqual({ kind: "survivors", sites });
  });

  it("refuses another vector after the first", async () => {
    const mine = receive(...whole());
    await federation.uploadsStored(1);
    const other = Buffer.alloc(body.length, 4);
    await expect(receive(header, chunk(0, other), seal(other))).rejects.toMatchObject({ code: "message-conflict" });
    await federation.all("upload", ["b", "c"]);
    expect((await mine).outcome.kind).toBe("survivors");
  });

  it("keeps the site when the vector is damaged or broken off, so that it may try again", async () => {
    await expect(receive(header, chunk(0, body), seal(Buffer.from("x")))).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    for (const parts of [
      [header],
      [header, chunk(1, body)],
      [chunk(0, body)],
      [header, chunk(0, body), seal(body), chunk(1, body)],
    ]) {
      await expect(receive(...parts)).rejects.toMatchObject({ code: "update-invalid" });
    }
    expect(federation.parts.dropped).toEqual([]);
    const mine = receive(...whole());
    await federation.all("upload", ["b", "c"]);
    expect((await mine).outcome).toEqual({ kind: "survivors", sites });
  });

  it.each([
    ["too short", () => [header, chunk(0, body.subarray(4)), seal(body)]],
    ["too long", () => [header, chunk(0, body), chunk(1, body)]],
    ["announced wrongly", () => [headerOf(3)]],
  ])("drops the site for a vector %s", async (_name, parts) => {
    await expect(receive(...parts())).rejects.toMatchObject({ code: "update-invalid" });
    expect(federation.parts.dropped).toEqual(["wrong-length"]);
  });

  it("gives its turn on once the vector is here, and not only when its stage closes", async () => {
    const counts: AdmissionCounts[] = [];
    admission = new UploadAdmission({ atOnce: 1, waiting: 1, ofOneSite: 4 }, (now) => counts.push(now));
    const mine = receive(...whole());
    await federation.uploadsStored(1);
    expect(counts).toContainEqual({ received: 1, waiting: 0 });
    expect(counts.at(-1)).toEqual({ received: 0, waiting: 0 });
    await federation.all("upload", ["b", "c"]);
    expect((await mine).outcome.kind).toBe("survivors");
  });

  it("breaks off an upload that hangs when it must give way, and takes it when it comes again", async () => {
    admission = new UploadAdmission({ atOnce: 2, waiting: 2, ofOneSite: 4 });
    async function* hanging() {
      yield header;
      await new Promise(() => {});
    }
    const desk = { submissions: federation.parts.submissions, admission };
    const hung = [receiveUpload(desk, hanging(), context("a")), receiveUpload(desk, hanging(), context("a"))];
    const gaveWay = expect(hung[0]).rejects.toMatchObject({ code: "overloaded" });
    // An upload's header is read a moment later than its turn is asked for.
    await new Promise((resolve) => setImmediate(resolve));
    const other = await admission.enter("b", new AbortController().signal);
    await gaveWay;
    other.end();
    const mine = receive(...whole());
    await federation.all("upload", ["b", "c"]);
    expect((await mine).outcome.kind).toBe("survivors");
  });

  it("believes the certificate, not the header", async () => {
    const call = receiveUpload(
      { submissions: federation.parts.submissions, admission },
      stream(...whole()),
      context("b"),
    );
    await expect(call).rejects.toMatchObject({ code: "not-authorised" });
  });
});
