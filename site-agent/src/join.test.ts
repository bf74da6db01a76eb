import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateAuthority, createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import { encodeInvitation, type Invitation } from "@consilium/shared/identity/invitation.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { siteConfigSchema } from "./config.js";
import { type Enrolled, type EnrolmentAsk, loadEnrolment } from "./enrolment.js";
import { type SiteHome, siteHome } from "./home.js";
import { join } from "./join.js";
import { loadPolicy } from "./policy.js";

let authority: CertificateAuthority;
let home: SiteHome;

beforeAll(async () => {
  authority = await createAuthority({ directory: mkdtempSync(joinPath(tmpdir(), "join-ca-")), federation: "demo" });
});
beforeEach(() => {
  home = siteHome(mkdtempSync(joinPath(tmpdir(), "join-")));
});
afterEach(() => rmSync(home.root, { recursive: true, force: true }));

function invitation(changes: Partial<Invitation> = {}): string {
  return encodeInvitation({
    federation: "demo",
    siteId: "hospital-a",
    host: "fl.example.org",
    enrolmentPort: 7701,
    port: 7700,
    secret: new Uint8Array(32).fill(1),
    pin: new Uint8Array(32).fill(2),
    ...changes,
  });
}

/** Answers as the coordinator does, and keeps what it was asked. */
function coordinator(asks: EnrolmentAsk[], id = "hospital-a") {
  return async (_invitation: Invitation, ask: EnrolmentAsk): Promise<Enrolled> => {
    asks.push(ask);
    const identity = { federation: "demo", role: "site", id } as const;
    const publicKeyPem = publicKeyOfRequest(ask.csrPem);
    const { certificatePem } = authority.issueLeaf({ identity, publicKeyPem, validForMs: 3_600_000 });
    const planPublicKey = new Uint8Array(32).fill(3);
    return { certificatePem, caPem: authority.certificatePem, federation: "demo", planPublicKey };
  };
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("join", () => {
  it("keeps keys to the owner, and writes everything that the agent needs", async () => {
    const report = await join({ home, invitation: invitation(), enrol: coordinator([]), dataPath: "/srv/images" });
    expect(report).toMatchObject({ federation: "demo", siteId: "hospital-a", coordinator: "fl.example.org:7700" });
    expect(report.identityFingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(loadEnrolment(home)).toMatchObject({ siteId: "hospital-a", planPublicKey: "03".repeat(32) });
    expect(loadYaml(home.siteYaml, siteConfigSchema).data.path).toBe("/srv/images");
    expect(loadPolicy(home.policyYaml).federation).toBe("demo");
    expect(modeOf(home.identity.identityKey)).toBe("600");
    expect(modeOf(joinPath(home.identity.directory, "key.pem"))).toBe("600");
    expect(modeOf(home.identity.request)).toBe("600");
    expect(modeOf(joinPath(home.identity.directory, "certificate.pem"))).toBe("644");
  });

  it("sends the same request when it is repeated, also after a lost answer", async () => {
    const asks: EnrolmentAsk[] = [];
    const answer = coordinator(asks);
    const lost = async (to: Invitation, ask: EnrolmentAsk): Promise<Enrolled> => {
      await answer(to, ask);
      throw new ConsiliumError("unreachable", "the connection was cut");
    };
    await expect(join({ home, invitation: invitation(), enrol: lost })).rejects.toMatchObject({ code: "unreachable" });
    const first = await join({ home, invitation: invitation(), enrol: answer });
    const second = await join({ home, invitation: invitation(), enrol: answer });
    expect(asks[1]).toEqual(asks[0]);
    expect(asks[2]).toEqual(asks[0]);
    expect(second.identityFingerprint).toBe(first.identityFingerprint);
  });

  it("certifies the key that it is given", async () => {
    const key = await generateTlsKey();
    await join({ home, invitation: invitation(), enrol: coordinator([]), makeKey: async () => key });
    expect(readFileSync(joinPath(home.identity.directory, "key.pem"), "utf8")).toBe(key.privateKeyPem);
  });

  it("makes a new TLS key for a new invitation, and keeps the identity key and the configuration", async () => {
    const asks: EnrolmentAsk[] = [];
    await join({ home, invitation: invitation(), enrol: coordinator(asks) });
    writeFileSync(home.siteYaml, "data: { source: folder, path: mine }\n");
    const again = invitation({ secret: new Uint8Array(32).fill(9) });
    const report = await join({ home, invitation: again, enrol: coordinator(asks) });
    expect(asks[1]!.csrPem).not.toBe(asks[0]!.csrPem);
    expect(asks[1]!.identityPublicKey).toEqual(asks[0]!.identityPublicKey);
    expect(report.written).toEqual([]);
    expect(readFileSync(home.siteYaml, "utf8")).toContain("mine");
  });

  it("pins the governance keys that it is given, and changes no policy that pins others", async () => {
    const governance = { keys: ["0a", "0b"].map((byte) => `ed25519:${byte.repeat(32)}`), threshold: 2 };
    const enrol = coordinator([]);
    const report = await join({ home, invitation: invitation(), enrol, governance });
    expect(report.governanceKeys).toBe(2);
    expect(loadPolicy(home.policyYaml).governance).toEqual({ ...governance, additions: "approve" });
    const reversed = { ...governance, keys: governance.keys.toReversed() };
    await join({ home, invitation: invitation(), enrol, governance: reversed });
    const other = { keys: governance.keys.slice(1), threshold: 1 };
    const asks: EnrolmentAsk[] = [];
    const again = join({ home, invitation: invitation(), enrol: coordinator(asks), governance: other });
    await expect(again).rejects.toMatchObject({
      code: "already-exists",
      remedy: expect.stringContaining(`keys: [${other.keys[0]}], threshold: 1`),
    });
    expect(asks).toEqual([]);
    expect(loadPolicy(home.policyYaml).governance.keys).toEqual(governance.keys);
  });

  it("refuses a home of another site", async () => {
    await join({ home, invitation: invitation(), enrol: coordinator([]) });
    const other = invitation({ siteId: "hospital-b" });
    await expect(join({ home, invitation: other, enrol: coordinator([], "hospital-b") })).rejects.toMatchObject({
      code: "already-exists",
    });
  });

  it("refuses a certificate for another site, and an invitation that is none", async () => {
    const wrong = coordinator([], "hospital-b");
    await expect(join({ home, invitation: invitation(), enrol: wrong })).rejects.toMatchObject({
      code: "certificate-refused",
    });
    await expect(join({ home, invitation: "hello", enrol: wrong })).rejects.toMatchObject({ code: "token-refused" });
    expect(() => loadEnrolment(home)).toThrow(/has not joined/);
  });
});
