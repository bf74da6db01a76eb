import { createHash } from "node:crypto";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { silentLogger } from "@consilium/shared/log.js";
import {
  type Advertised,
  type Delivered,
  planContext,
  type ReceivedPlan,
  type RoundKey,
  roundKeyText,
  type SealedShares,
} from "@consilium/shared/protocol.js";
import { callClientStream, callUnary } from "@consilium/shared/rpc/calls.js";
import { openChannel, type RpcChannel } from "@consilium/shared/rpc/channel.js";
import { type Reveal, SecAggServiceClient, type UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import type { Figures } from "@consilium/shared/secagg/figures.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { merkleTree } from "@consilium/shared/secagg/merkle.js";
import type { UnprovenShare } from "@consilium/shared/secagg/seal.js";
import { shareLeaf, shareSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { EgressRecord } from "@consilium/site-agent/audit/egress-record.js";
import type { CoordinatorClient, StageMessage, StageOutcome } from "@consilium/site-agent/round/coordinator.js";
import { checkPlan } from "@consilium/site-agent/round/plan-check.js";
import { clientOver } from "@consilium/site-agent/rpc/coordinator-client.js";
import { stageOutcome } from "@consilium/site-agent/rpc/messages.js";
import { SiteSession } from "@consilium/site-agent/secagg/site-session.js";
import { type Contribution, contributionOf } from "@consilium/site-agent/update/delta.js";
import { memoryLedger } from "../secagg/memory-ledger.js";

export interface SiteCredentials {
  readonly siteId: string;
  readonly identity: IdentityKey;
  readonly planPublicKey: Uint8Array;
  readonly bundle: TlsBundle;
  readonly port: number;
  /** Who is on the federation's roster. */
  readonly members: ReadonlyMap<string, Uint8Array>;
}

/** How a vector on the wire differs from the one that the plan asks for. */
export interface Tampering {
  readonly words?: (right: number) => number;
  readonly chunks?: (right: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
  /** What it is signed with; zeros unless it is given. */
  readonly seal?: (sha256: Uint8Array) => Uint8Array;
}

/** The door is there, but nobody keeps the book. */
export const unwrittenEgress = new EgressRecord({ trail: { record() {} }, logger: silentLogger });

export interface AttemptName {
  readonly round?: number;
  readonly attempt?: number;
}

type Kind = StageOutcome["kind"];
const neverFires = new AbortController().signal;
const timeoutMs = 30_000;

/** A site's half of the protocol over a real connection, stage by stage, honest unless it is told otherwise. */
export class HostileSite {
  readonly siteId: string;
  readonly credentials: SiteCredentials;
  readonly channel: RpcChannel;
  readonly client: CoordinatorClient;
  /** Of its attempts; a test may put one here that remembers. */
  entropy: Entropy = systemEntropy;
  /** What it did in its attempts so far. */
  readonly ledger = memoryLedger();
  readonly #plans = new Map<string, ReceivedPlan>();
  #attached = new AbortController();
  #listening: Promise<void>;
  readonly #heard: (() => void)[] = [];

  constructor(credentials: SiteCredentials) {
    const { siteId, bundle, port } = credentials;
    this.siteId = siteId;
    this.credentials = credentials;
    this.channel = openChannel({ host: "localhost", port, federation: "demo", bundle, proxy: undefined });
    this.client = this.clientAs(siteId);
    this.#listening = this.#listen();
  }

  /** Gone from the coordinator, whose calls it still could answer. */
  async detach(): Promise<void> {
    this.#attached.abort();
    await this.#listening;
  }

  attach(): void {
    this.#attached = new AbortController();
    this.#listening = this.#listen();
  }

  /** A client that says to be this site, whatever the connection's certificate says. */
  clientAs(siteId: string): CoordinatorClient {
    const { planPublicKey } = this.credentials;
    const traffic = { sent() {}, received() {}, rejected() {} };
    return clientOver(this.channel, {
      ...{ siteId, agentVersion: "1", planPublicKey, traffic, egress: unwrittenEgress, logger: silentLogger },
      gate: { admits: () => true },
    });
  }

  async close(): Promise<void> {
    await this.detach();
    this.channel.close();
  }

  /** The plan of an attempt, once it has come: of the run's first, unless a test names another. */
  async planOf(runId: string, { round = 1, attempt = 1 }: AttemptName = {}): Promise<ReceivedPlan> {
    const name = roundKeyText({ runId, round, attempt });
    while (!this.#plans.has(name)) {
      await new Promise<void>((resolve) => {
        this.#heard.push(resolve);
      });
    }
    return this.#plans.get(name)!;
  }

  async begin(runId: string, at: AttemptName = {}): Promise<SitePart> {
    return new SitePart(this, await this.planOf(runId, at));
  }

  async #listen(): Promise<void> {
    const { signal } = this.#attached;
    try {
      for await (const directive of this.client.attach(signal)) {
        if (directive.kind !== "plan") continue;
        this.#plans.set(roundKeyText(directive.received.plan.key), directive.received);
        for (const heard of this.#heard.splice(0)) heard();
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }
}

/** One site's part in one attempt. */
export class SitePart {
  readonly site: HostileSite;
  readonly key: RoundKey;
  readonly session: SiteSession;
  readonly #received: ReceivedPlan;

  constructor(site: HostileSite, received: ReceivedPlan) {
    this.site = site;
    this.key = received.plan.key;
    this.#received = received;
    this.session = this.newSession(site.ledger);
  }

  /** A session of the site; one with a ledger of its own has forgotten every other. */
  newSession(ledger = memoryLedger()): SiteSession {
    const { siteId, identity, members } = this.site.credentials;
    const floors = { minCohort: 2, maxColluders: 0, maxAttempts: 3, members };
    return new SiteSession({ received: this.#received, siteId, identity, entropy: this.site.entropy, floors, ledger });
  }

  send(message: StageMessage, key: RoundKey = this.key): Promise<StageOutcome> {
    return this.site.client.exchange(message, { key, timeoutMs, signal: neverFires });
  }

  async advertise() {
    const advertisement = this.session.advertise();
    return requireKind(await this.send({ stage: "advertise", advertisement }), "advertised");
  }

  async share({ advertised }: Extract<StageOutcome, { kind: "advertised" }>) {
    return requireKind(await this.send({ stage: "share", sealed: this.session.share(advertised) }), "delivered");
  }

  /** Every coordinate of the update has this value. */
  masked(delivered: Delivered, value = 1e-4, figures: Figures = {}): MaskedUpload {
    return this.session.mask(delivered, this.#contribution(value, figures));
  }

  /** As `masked`, by a site that does not scale its update down to the run's norm. */
  maskedUnscaled(delivered: Delivered, value: number): MaskedUpload {
    const honest = this.#contribution(0, {});
    return this.session.mask(delivered, { ...honest, delta: new Float32Array(honest.delta.length).fill(value) });
  }

  #contribution(value: number, figures: Figures): Contribution {
    const { plan } = this.#received;
    const { config, layout } = checkPlan(plan);
    const update = { sampleCount: 10, meanLoss: 1, steps: 2, figures };
    const delta = new Float32Array(plan.dimension).fill(value);
    return contributionOf({ delta, update, plan, config, layout });
  }

  upload(masked: MaskedUpload): Promise<StageOutcome> {
    return this.site.client.upload(masked, { key: this.key, timeoutMs, signal: neverFires });
  }

  /** Shares that the site's own session would not send, under a root that it signs all the same. */
  signed({ adverts }: Advertised, shares: readonly UnprovenShare[]): SealedShares {
    const { siteId, identity } = this.site.credentials;
    const binding = {
      context: planContext(this.#received.body),
      advertsDigest: advertsDigest(sortAdverts(adverts)),
    };
    const { root, paths } = merkleTree(shares.map(shareLeaf));
    const proven = shares.map((share, i) => ({ ...share, path: paths[i]! }));
    return { shares: proven, root, signature: identity.sign(shareSignatureInput(binding, siteId, root)) };
  }

  async confirm({ uploads }: Extract<StageOutcome, { kind: "survivors" }>) {
    return requireKind(await this.send({ stage: "confirm", signature: this.session.confirm(uploads) }), "confirmed");
  }

  async unmask({ signatures }: Extract<StageOutcome, { kind: "confirmed" }>) {
    return this.send({ stage: "unmask", reveals: this.session.reveal(signatures) });
  }

  /** Gives the attempt up. */
  fail(code: string, accused = ""): Promise<void> {
    const report = { key: this.key, phase: "failed", clause: "", stepsDone: 0, code, accused } as const;
    return this.site.client.report(report, neverFires);
  }

  /** Reveals that may lack their share. */
  async sendReveals(reveals: Reveal[]): Promise<StageOutcome> {
    const secagg = this.site.channel.client(SecAggServiceClient);
    const stage = { $case: "unmask" as const, value: { reveals } };
    const message = { key: { ...this.key }, siteId: this.site.siteId, stage };
    return stageOutcome(await callUnary(secagg.exchange.bind(secagg), message), this.key);
  }

  /** An upload put together by hand. */
  async uploadTampered(masked: MaskedUpload, { words, chunks, seal, siteId }: Tampering & { siteId?: string }) {
    const header = {
      key: { ...this.key },
      siteId: siteId ?? this.site.siteId,
      words: words?.(masked.words) ?? masked.words,
    };
    return this.uploadParts(tamperedParts(header, chunks?.(masked.chunks()) ?? masked.chunks(), seal));
  }

  /** These words as they are, under a header of the right length. */
  uploadRaw(chunks: AsyncIterable<Uint8Array>): Promise<StageOutcome> {
    return this.uploadParts(
      tamperedParts({ key: { ...this.key }, siteId: this.site.siteId, words: this.words }, chunks),
    );
  }

  /** Whatever parts a test makes. */
  async uploadParts(parts: AsyncIterable<UploadPart>): Promise<StageOutcome> {
    const secagg = this.site.channel.client(SecAggServiceClient);
    return stageOutcome(await callClientStream(secagg.upload.bind(secagg), parts, { timeoutMs }), this.key);
  }

  get words(): number {
    const { dimension, lanes } = this.#received.plan;
    return dimension + lanes.length;
  }

  get received(): ReceivedPlan {
    return this.#received;
  }
}

type Header = Extract<UploadPart["part"], { $case: "header" }>["value"];

const noSeal = () => new Uint8Array(64);

async function* tamperedParts(
  header: Header,
  chunks: AsyncIterable<Uint8Array>,
  seal: (sha256: Uint8Array) => Uint8Array = noSeal,
): AsyncGenerator<UploadPart> {
  yield { part: { $case: "header", value: header } };
  const hash = createHash("sha256");
  let index = 0;
  for await (const bytes of chunks) {
    hash.update(bytes);
    yield { part: { $case: "chunk", value: { index: index++, words: Buffer.from(bytes) } } };
  }
  const sha256 = hash.digest();
  yield { part: { $case: "seal", value: { sha256, signature: Buffer.from(seal(sha256)) } } };
}

export function requireKind<K extends Kind>(outcome: StageOutcome, kind: K): Extract<StageOutcome, { kind: K }> {
  if (outcome.kind === kind) return outcome as Extract<StageOutcome, { kind: K }>;
  throw new Error(`${outcome.kind} instead of ${kind}${"reason" in outcome ? ` (${outcome.reason})` : ""}`);
}
