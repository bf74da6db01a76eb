import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { randomFor } from "@consilium/shared/random.js";
import { openChannel, type RpcChannel } from "@consilium/shared/rpc/channel.js";
import { AdminServiceService } from "@consilium/shared/rpc/gen/admin.js";
import { EnrolmentServiceService, FederationServiceService } from "@consilium/shared/rpc/gen/federation.js";
import { SecAggServiceService } from "@consilium/shared/rpc/gen/secagg.js";
import { openPinnedChannel } from "@consilium/shared/rpc/pinned-channel.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { federationName, HostileFederation } from "../support/hostile-federation.js";
import { insideText } from "../support/inside-text.js";
import { callRaw, type RawAnswer, type RawMethod } from "../support/raw-calls.js";

const siteMethods: RawMethod[] = [...Object.values(FederationServiceService), ...Object.values(SecAggServiceService)];
const adminMethods: RawMethod[] = Object.values(AdminServiceService);
const mainMethods = [...siteMethods, ...adminMethods];
const ok = 0;
const internal = 13;
const unimplemented = 12;
const permissionDenied = 7;
const invalidArgument = 3;

let federation: HostileFederation;
const channels: RpcChannel[] = [];

beforeAll(async () => {
  federation = await HostileFederation.start(["north"]);
}, 60_000);

afterAll(async () => {
  for (const channel of channels) channel.close();
  await federation.stop();
}, 20_000);

function connectAs(bundle: TlsBundle): RpcChannel {
  const channel = openChannel({
    host: "localhost",
    port: federation.ports.main,
    federation: federationName,
    bundle,
    proxy: undefined,
  });
  channels.push(channel);
  return channel;
}

const asSite = () => connectAs(federation.sites[0]!.credentials.bundle);
const asOperator = () => connectAs(federation.credentials("operator"));
const asResearcher = () => connectAs(federation.credentials("researcher"));

const shortName = ({ path }: RawMethod) => path.slice("/consilium.v1.".length);

async function rejections(): Promise<Map<string, number>> {
  return federation.metric("consilium_coordinator_rejected_inputs_total");
}

async function rejectedAs(code: string, method: RawMethod): Promise<number> {
  return (await rejections()).get(`{method="${shortName(method)}",code="${code}"}`) ?? 0;
}

async function allRejected(method: RawMethod): Promise<number> {
  const counted = [...(await rejections())].filter(([labels]) => labels.includes(`method="${shortName(method)}"`));
  return counted.reduce((sum, [, value]) => sum + value, 0);
}

/** Wrong wire types, lengths that lie, deep nesting, 64-bit extremes, noise; the same ones in every run. */
function garbage(): Buffer[] {
  const random = randomFor(1, "garbage");
  const noise = (bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, () => random.integer(256)));
  const hex = (text: string) => Buffer.from(text, "hex");
  return [
    hex("ff".repeat(16)),
    hex("0affffffff0f"),
    hex("0a7f41"),
    hex("08ffffffffffffffffff01"),
    hex("0a0a".repeat(200)),
    hex("0b".repeat(500)),
    hex("07"),
    hex("120568c3a9ff00"),
    ...[1, 7, 60, 400, 4000].map(noise),
  ];
}

function expectHarmless({ code, details }: RawAnswer, sent: string): void {
  expect(details, sent).not.toMatch(insideText);
  if (code === internal) expect(details, sent).toMatch(/^The coordinator failed internally \(reference [0-9a-f]+\)\.$/);
}

describe("bytes that are no message, and messages that say nothing", () => {
  it.each([
    ["a site", siteMethods, asSite],
    ["an operator", adminMethods, asOperator],
  ] as const)(
    "from %s are refused without inside text, counted, and the coordinator lives on",
    async (_, methods, connect) => {
      const channel = connect();
      for (const method of methods) {
        for (const bytes of [Buffer.alloc(0), ...garbage()]) {
          const before = await allRejected(method);
          const answer = await callRaw(channel, method, bytes);
          expectHarmless(answer, `${method.path} ${bytes.subarray(0, 16).toString("hex")}`);
          expect(answer.code, method.path).not.toBe(internal);
          // The streams that answer nothing to nothing, and lists, are no refusals.
          const after = await allRejected(method);
          expect(after - before, `${method.path} ${answer.code} ${answer.details}`).toBe(answer.code === ok ? 0 : 1);
        }
      }
      expect(await federation.admin("researcher").listSites()).toMatchObject([{ siteId: "north", attached: true }]);
    },
    30_000,
  );

  it("that cannot be parsed are said to be so", async () => {
    const channel = asSite();
    for (const method of siteMethods) {
      const before = await rejectedAs("input-unreadable", method);
      const answer = await callRaw(channel, method, Buffer.from("ffffffffffffffff", "hex"));
      expect(answer).toMatchObject({ code: invalidArgument, details: "the message is not one that this method takes" });
      expect(await rejectedAs("input-unreadable", method)).toBe(before + 1);
    }
  });
});

describe("a certificate of another role", () => {
  /** Calls that reached a handler, whatever came of them. */
  async function handled(methods: readonly RawMethod[]): Promise<number> {
    const counts = await federation.metric("consilium_coordinator_call_duration_seconds_count");
    const names = methods.map((method) => `method="${shortName(method)}"`);
    return [...counts]
      .filter(([labels]) => names.some((name) => labels.includes(name)))
      .reduce((sum, [, n]) => sum + n, 0);
  }

  it.each([
    ["a researcher's on a site's method", asResearcher, siteMethods],
    ["an operator's on a site's method", asOperator, siteMethods],
    ["a site's on an administrator's method", asSite, adminMethods],
    [
      "a researcher's on an operator's method",
      asResearcher,
      [AdminServiceService.inviteSite, AdminServiceService.revokeSite],
    ],
  ] as const)("%s is refused before any handler", async (_, connect, methods) => {
    const channel = connect();
    const before = await handled(methods);
    for (const method of methods) {
      const counted = await rejectedAs("not-authorised", method);
      const answer = await callRaw(channel, method, Buffer.alloc(0));
      expect(answer).toMatchObject({ code: permissionDenied });
      expect(answer.details).toMatch(/^Only an? [a-z ]+ may do this \([a-z ]+\), not an? \w+\.$/);
      expect(await rejectedAs("not-authorised", method)).toBe(counted + 1);
      expect(federation.logged.at(-1)).toMatchObject({ event: "rpc.refused", fields: { method: method.path } });
    }
    expect(await handled(methods)).toBe(before);
  });
});

describe("the enrolment port", () => {
  it("serves Enrol and nothing else, and the main port does not serve Enrol", async () => {
    const { host, pin } = await federation.invite("south");
    const port = federation.ports.enrolment;
    const channel = await openPinnedChannel({ host, port, federation: federationName, pin });
    channels.push(channel);
    for (const method of mainMethods) {
      expect(await callRaw(channel, method, Buffer.alloc(0)), method.path).toMatchObject({ code: unimplemented });
    }
    expect(await callRaw(asSite(), EnrolmentServiceService.enrol, Buffer.alloc(0))).toMatchObject({
      code: unimplemented,
    });
  });

  it("refuses garbage and wrong tokens, counts them, and soon does not listen to who keeps trying", async () => {
    const { enrol } = EnrolmentServiceService;
    const invitation = await federation.invite("south");
    const port = federation.ports.enrolment;
    const channel = await openPinnedChannel({ ...invitation, port });
    channels.push(channel);
    const before = await allRejected(enrol);
    const request = {
      ...{ siteId: "south", csrPem: "x", identityPublicKey: Buffer.alloc(32), token: Buffer.alloc(32) },
    };
    const answers: RawAnswer[] = [];
    for (const bytes of [Buffer.from("ff".repeat(16), "hex"), ...Array(6).fill(enrol.requestSerialize(request))]) {
      answers.push(await callRaw(channel, enrol, bytes));
    }
    for (const answer of answers) expectHarmless(answer, answer.details);
    expect(answers.map(({ code }) => code)).toEqual([invalidArgument, 16, 16, 16, 16, 16, 8]);
    expect(await allRejected(enrol)).toBe(before + answers.length);
    // No one who does not know the token may learn whether there is one.
    expect(new Set(answers.slice(1, 6).map(({ details }) => details)).size).toBe(1);
  });
});

describe("a site that attaches", () => {
  it("hears at once that it is attached", async () => {
    const { client } = federation.sites[0]!;
    const startedMs = performance.now();
    const directives = client.attach(new AbortController().signal)[Symbol.asyncIterator]();
    expect(await directives.next()).toMatchObject({ value: { kind: "heartbeat" } });
    await directives.return?.();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });
});
