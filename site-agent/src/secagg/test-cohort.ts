import { createHash } from "node:crypto";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type {
  Advertisement,
  Delivered,
  KeyAdvert,
  ReceivedPlan,
  RoundPlan,
  SealedShares,
  SignedUpload,
  SiteSignature,
} from "@consilium/shared/protocol.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type { Contribution } from "../update/delta.js";
import { AttemptLedger } from "./attempt-ledger.js";
import type { SiteFloors } from "./plan-facts.js";
import { SiteSession } from "./site-session.js";

/** For tests: real sessions of a cohort, with a coordinator that hands on whatever the test wants. */

/** What a site keeps from attempt to attempt. */
export interface TestMember {
  readonly siteId: string;
  readonly identity: IdentityKey;
  /** The ledger's files. */
  readonly records: Map<string, string>;
  readonly entropy: Entropy;
}

/** On the roster of every test. */
const members = new Map<string, Uint8Array>();

export function testMember(siteId: string): TestMember {
  const identity = IdentityKey.generate();
  members.set(siteId, identity.publicKey);
  return { siteId, identity, records: new Map(), entropy: systemEntropy };
}

/** The member's ledger as a new process finds it. */
export function ledgerOf({ records }: TestMember): AttemptLedger {
  return new AttemptLedger({
    read: (runId) => records.get(runId),
    write: (runId, text) => void records.set(runId, text),
  });
}

export const testFloors: SiteFloors = { minCohort: 2, maxColluders: 0, maxAttempts: 3, members };

export function testPlan(facts: Partial<RoundPlan> = {}): ReceivedPlan {
  const plan: RoundPlan = {
    federation: "test",
    key: { runId: "run", round: 0, attempt: 0 },
    runConfigJson: "{}",
    checkpointDigest: new Uint8Array(32),
    checkpointBytes: 0,
    layoutDigest: new Uint8Array(32),
    dimension: 6,
    tensorClips: [0.1, 0.2],
    l2Clip: 10,
    weightCap: 100,
    lanes: ["weight", "loss", "steps", "clipped"],
    cohortSize: 30,
    colluders: 0,
    minCohort: 2,
    firstStep: 0,
    trainingWindowMs: 1,
    stageWindowMs: 1,
    previousResultDigest: new Uint8Array(0),
    rosterVersion: 1,
    rosterDigest: new Uint8Array(32).fill(9),
    launchedBy: "fed://test/researcher/r1",
    ...facts,
  };
  return { plan, body: Buffer.from(JSON.stringify(facts)), signature: new Uint8Array(64) };
}

export const testContribution: Contribution = {
  delta: new Float32Array([0.1, 0, -0.1, 0.05, 0.01, 1]),
  tensorSizes: [4, 2],
  sampleCount: 40,
  meanLoss: 2,
  figures: {},
  steps: 5,
};

export function sessionOf(member: TestMember, received: ReceivedPlan, floors: SiteFloors = testFloors): SiteSession {
  const { siteId, identity, entropy } = member;
  return new SiteSession({ received, siteId, identity, entropy, floors, ledger: ledgerOf(member) });
}

export async function bytesOf(upload: Pick<MaskedUpload, "chunks">): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of upload.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** One attempt, stage by stage; each method does its stage for the sites named, by default for all. */
export class TestAttempt {
  readonly members: readonly TestMember[];
  readonly sessions: ReadonlyMap<string, SiteSession>;
  readonly advertisements = new Map<string, Advertisement>();
  readonly sealed = new Map<string, SealedShares>();
  readonly uploads = new Map<string, SignedUpload>();
  readonly vectors = new Map<string, Buffer>();
  readonly contribution: Contribution;

  constructor(
    members: readonly TestMember[],
    facts: Partial<RoundPlan> = {},
    options: { floors?: SiteFloors; contribution?: Contribution; received?: ReceivedPlan } = {},
  ) {
    const { floors, contribution = testContribution, received = testPlan(facts) } = options;
    this.members = members;
    this.contribution = contribution;
    this.sessions = new Map(members.map((member) => [member.siteId, sessionOf(member, received, floors)]));
  }

  get siteIds(): string[] {
    return this.members.map(({ siteId }) => siteId);
  }

  session(siteId: string): SiteSession {
    return this.sessions.get(siteId)!;
  }

  advertise(sites = this.siteIds): this {
    for (const site of sites) this.advertisements.set(site, this.session(site).advertise());
    return this;
  }

  get adverts(): KeyAdvert[] {
    return [...this.advertisements.values()].map(({ advert }) => advert);
  }

  /** What the coordinator answers to stage advertise. */
  get advertised() {
    return { adverts: this.adverts, aborts: [...this.advertisements.values()].flatMap(({ aborts }) => aborts) };
  }

  share(sites = this.siteIds): this {
    for (const site of sites) this.sealed.set(site, this.session(site).share(this.advertised));
    return this;
  }

  /** What the coordinator answers to stage share. */
  deliveryFor(siteId: string, sharers: readonly string[] = [...this.sealed.keys()]): Delivered {
    return {
      sharers: sharers.map((from) => {
        const { root, signature } = this.sealed.get(from)!;
        return { siteId: from, root, signature };
      }),
      shares: sharers.flatMap((from) => this.sealed.get(from)!.shares.filter((share) => share.toSite === siteId)),
    };
  }

  mask(siteId: string, sharers?: readonly string[]): MaskedUpload {
    return this.session(siteId).mask(this.deliveryFor(siteId, sharers), this.contribution);
  }

  async upload(sites = this.siteIds): Promise<this> {
    for (const siteId of sites) {
      const upload = this.mask(siteId);
      const vector = await bytesOf(upload);
      const sha256 = createHash("sha256").update(vector).digest();
      this.vectors.set(siteId, vector);
      this.uploads.set(siteId, { siteId, sha256, signature: upload.seal(sha256) });
    }
    return this;
  }

  /** What the coordinator answers to stage upload. */
  survivors(sites: readonly string[] = [...this.uploads.keys()]): SignedUpload[] {
    return sites.map((site) => this.uploads.get(site)!);
  }

  confirm(sites: readonly string[] = [...this.uploads.keys()], survivors = this.survivors()): SiteSignature[] {
    return sites.map((siteId) => ({ siteId, signature: this.session(siteId).confirm(survivors) }));
  }

  /** Up to the end of a stage. */
  static async through(
    stage: "advertise" | "share" | "upload",
    ...attempt: ConstructorParameters<typeof TestAttempt>
  ): Promise<TestAttempt> {
    const begun = new TestAttempt(...attempt).advertise();
    if (stage === "advertise") return begun;
    begun.share();
    return stage === "share" ? begun : begun.upload();
  }
}
