import { planContext } from "@consilium/shared/protocol.js";
import { abortSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyOf, sites, TestFederation } from "./test-federation.js";
import { advertOf, identities } from "./test-messages.js";

let federation: TestFederation;
beforeEach(() => {
  federation = new TestFederation();
});
afterEach(() => federation.remove());

interface Lost {
  readonly body: Uint8Array;
}

const statementOf = (siteId: string, { body }: Lost) => ({
  ...{ siteId, attempt: keyOf({ body }).attempt },
  signature: identities.get(siteId)!.sign(abortSignatureInput(planContext(body))),
});
const stored = (siteId: string, lost: Lost) => {
  const { attempt, signature } = statementOf(siteId, lost);
  return { siteId, attempt, signature: Buffer.from(signature).toString("hex") };
};

/** Advertises in the newest attempt, with what the site says about earlier ones. */
function advertise(siteId: string, aborts: readonly object[], plan: Lost = federation.plan) {
  return federation.send(siteId, "advertise", {
    key: keyOf(plan),
    value: { advert: advertOf(siteId, plan.body), aborts },
  });
}

/** Loses the newest attempt by the deadline of its stage; the next begins. */
async function lose(): Promise<Lost> {
  const { plan } = federation;
  federation.clock.advance(10_000);
  federation.clock.advance(60_000);
  return plan;
}

describe("what sites say about attempts that they gave up", () => {
  it("reaches every site of the attempts after it, also by a coordinator that died", async () => {
    await federation.launch(1);
    federation.attach(...sites);
    await federation.all("advertise");
    await federation.all("share");
    const first = await lose();
    expect(keyOf(federation.plan).attempt).toBe(2);
    const [a, b, c] = sites as [string, string, string];
    const said = [advertise(a, [statementOf(a, first)]), advertise(b, [statementOf(b, first)]), advertise(c, [])];
    const aborts = [stored(a, first), stored(b, first)];
    for (const outcome of await Promise.all(said)) expect(outcome).toMatchObject({ kind: "advertised", aborts });
    const second = await lose();
    const { plan } = federation;
    await federation.restart();
    federation.attach(...sites);
    // What was said once need not be said again, and said again it counts once.
    const both = [statementOf(a, first), statementOf(a, second)];
    const again = [advertise(a, both, plan), advertise(b, [], plan), advertise(c, [], plan)];
    for (const outcome of await Promise.all(again)) {
      expect(outcome).toMatchObject({ kind: "advertised", aborts: [...aborts, stored(a, second)] });
    }
  });

  it("is forgotten once the round is committed", async () => {
    await federation.launch(2);
    federation.attach(...sites);
    await federation.all("advertise");
    const first = await lose();
    const [a, b, c] = sites as [string, string, string];
    await Promise.all([advertise(a, [statementOf(a, first)]), advertise(b, []), advertise(c, [])]);
    for (const stage of ["share", "upload", "confirm", "unmask"] as const) await federation.all(stage);
    while (keyOf(federation.plan).round < 2) await new Promise((resolve) => setImmediate(resolve));
    expect((await federation.all("advertise"))[0]).toMatchObject({ kind: "advertised", aborts: [] });
  });

  it("drops who forges it", async () => {
    await federation.launch(1);
    federation.attach(...sites);
    await federation.all("advertise");
    const first = await lose();
    const forged = { ...statementOf("a", first), signature: new Uint8Array(64) };
    await expect(advertise("a", [forged])).rejects.toMatchObject({ code: "update-invalid" });
    expect(federation.parts.dropped).toContain("bad-signature");
  });

  const unsigned = (siteId: string, attempt: number) => ({ siteId, attempt, signature: new Uint8Array(64) });
  it.each([
    ["says it twice", [unsigned("a", 1), unsigned("a", 1)]],
    ["says it for another site", [unsigned("b", 1)]],
    ["says it about the attempt that begins", [unsigned("a", 2)]],
    ["says it about an attempt that never was", [unsigned("a", 0)]],
  ])("drops who %s before any signature is verified", async (_, aborts) => {
    await federation.launch(1);
    federation.attach(...sites);
    await federation.all("advertise");
    await lose();
    await expect(advertise("a", aborts)).rejects.toMatchObject({ code: "update-invalid" });
    expect(federation.parts.dropped.filter((reason) => reason === "bad-message")).toHaveLength(1);
    expect(federation.parts.dropped).not.toContain("bad-signature");
    federation.clock.advance(60_000);
    const next = await Promise.all(sites.map((site) => advertise(site, [])));
    for (const outcome of next) expect(outcome).toMatchObject({ kind: "advertised", aborts: [] });
  });

  it("takes it from a site whose advert in the lost attempt never came", async () => {
    await federation.launch(1);
    federation.attach(...sites);
    const first = federation.plan;
    const waiting = federation.all("advertise", ["b", "c"]);
    federation.clock.advance(100_000);
    await waiting;
    federation.clock.advance(60_000);
    expect(keyOf(federation.plan).attempt).toBe(2);
    const said = [advertise("a", [statementOf("a", first)]), advertise("b", []), advertise("c", [])];
    for (const outcome of await Promise.all(said)) expect(outcome).toMatchObject({ aborts: [stored("a", first)] });
  });
});
