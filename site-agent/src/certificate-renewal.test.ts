import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import { loadTlsBundle, saveTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import { silentLogger } from "@consilium/shared/log.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestFederation, dayMs, type TestFederation } from "../../test/support/identities.js";
import { CertificateRenewal, type CertificateState } from "./certificate-renewal.js";
import type { Renewed } from "./rpc/coordinator-client.js";

let test: TestFederation;
let other: TestFederation;
let directory: string;
let clock: ManualClock;
let bundle: TlsBundle;
let states: CertificateState[];
let audited: string[];
let renewal: CertificateRenewal;

beforeAll(async () => {
  test = await createTestFederation();
  other = await createTestFederation({ key: test.key });
});
afterAll(() => Promise.all([test.remove(), other.remove()]));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "consilium-renewal-"));
  clock = new ManualClock(Date.now());
  bundle = await test.bundle("site", "north", { validForMs: 9 * dayMs });
  await saveTlsBundle(directory, bundle);
  states = [];
  audited = [];
});
afterEach(async () => {
  await renewal.stop();
  await rm(directory, { recursive: true });
});

type Answer = (csrPem: string) => Renewed | Promise<Renewed>;

function start(answer: Answer): void {
  renewal = new CertificateRenewal({
    client: {
      get bundle() {
        return bundle;
      },
      renewCertificate: async (csrPem) => answer(csrPem),
      async replace(next, keep) {
        await keep();
        bundle = next;
      },
    },
    ...{ directory, clock, logger: silentLogger },
    identity: test.identity("site", "north"),
    random: () => 0.5,
    trail: { record: ({ action }) => void audited.push(action) },
    onState: (state) => void states.push(state),
  });
}

const issue =
  (authority = test.authority, siteId = "north"): Answer =>
  (csrPem) => {
    const request = { identity: test.identity("site", siteId), validForMs: 12 * dayMs };
    const { certificatePem } = authority.issueLeaf({ ...request, publicKeyPem: publicKeyOfRequest(csrPem) });
    return { certificatePem, caPem: authority.trustPem };
  };

/** Moves on and waits for the next state, which comes after a key has been made. */
async function advance(byMs: number): Promise<CertificateState> {
  const before = states.length;
  clock.advance(byMs);
  const turned = () => {
    clock.advance(1);
    return states.length;
  };
  await expect.poll(turned, { timeout: 20_000 }).toBe(before + 1);
  return states.at(-1)!;
}

describe("CertificateRenewal", () => {
  it("replaces certificate and key after two thirds of its life, and stores them before they are used", async () => {
    start(issue());
    const first = bundle;
    clock.advance(6 * dayMs);
    expect(states).toHaveLength(1);
    const state = await advance(dayMs);
    expect(state.failing).toBeUndefined();
    expect(state.notAfterMs).toBeGreaterThan(states[0]!.notAfterMs);
    expect(bundle.keyPem).not.toBe(first.keyPem);
    expect(await loadTlsBundle(directory)).toEqual(bundle);
    expect(audited).toEqual(["certificate.stored", "certificate.used"]);
  });

  it("keeps trying with the same request while there is no answer, and says since when", async () => {
    const asked: string[] = [];
    const answers: Answer[] = [
      () => Promise.reject(new ConsiliumError("unreachable", "nothing listens")),
      () => Promise.reject(new ConsiliumError("overloaded", "later")),
      issue(),
    ];
    start((csrPem) => {
      asked.push(csrPem);
      return answers.shift()!(csrPem);
    });
    const failed = await advance(7 * dayMs);
    expect(failed.failing).toEqual({ sinceMs: expect.any(Number), reason: "nothing listens" });
    const again = await advance(3_600_000);
    expect(again.failing).toEqual({ sinceMs: failed.failing!.sinceMs, reason: "later" });
    expect((await advance(3_600_000)).failing).toBeUndefined();
    expect(new Set(asked).size).toBe(1);
  });

  it.each([
    ["of another authority that this site has never heard of", () => issue(other.authority)],
    ["for another site", () => issue(test.authority, "south")],
    [
      "for another key",
      (): Answer => async () => ({
        certificatePem: (await test.bundle("site", "north")).certPem,
        caPem: test.authority.trustPem,
      }),
    ],
    ["that cannot be read", (): Answer => () => ({ certificatePem: "nonsense", caPem: test.authority.trustPem })],
  ])("refuses a certificate %s, and goes on with its own", async (_what, answer) => {
    start(answer());
    const first = bundle;
    const { failing } = await advance(7 * dayMs);
    expect(failing?.reason).toMatch(/^The (certificate is refused|answer names no authority)/);
    expect(bundle).toBe(first);
    expect((await loadTlsBundle(directory)).certPem).toBe(first.certPem);
    expect(audited).toEqual([]);
  });

  it("takes a new authority that comes beside the old one", async () => {
    start((csrPem) => {
      const { certificatePem } = issue(other.authority)(csrPem) as Renewed;
      return { certificatePem, caPem: other.authority.trustPem + test.authority.trustPem };
    });
    expect((await advance(7 * dayMs)).failing).toBeUndefined();
    const newer = new X509Certificate(other.authority.certificatePem);
    expect(new X509Certificate(bundle.certPem).verify(newer.publicKey)).toBe(true);
    expect(bundle.caPem).toContain(test.authority.trustPem.trim());
  });
});
