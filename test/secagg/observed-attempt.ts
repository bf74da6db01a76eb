import { createCipheriv, createHash } from "node:crypto";
import type { Entropy } from "@consilium/shared/entropy.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { planContext, type Reveal } from "@consilium/shared/protocol.js";
import { randomFor } from "@consilium/shared/random.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import { TestAttempt, type TestMember, testFloors, testPlan } from "../../site-agent/src/secagg/test-cohort.js";
import type { Knowledge } from "./attacker.js";

/** Attempts of honest code whose coordinator, and some of whose sites, keep everything. The same in every run. */

const dimension = 8192;

/** Draws that can be repeated, and are noted. */
class NotedEntropy implements Entropy {
  readonly drawn: Uint8Array[] = [];
  readonly #stream;

  constructor(seed: string) {
    this.#stream = createCipheriv("aes-256-ctr", createHash("sha256").update(seed).digest(), Buffer.alloc(16));
  }

  bytes(count: number): Uint8Array {
    const drawn = new Uint8Array(this.#stream.update(Buffer.alloc(count)));
    this.drawn.push(Uint8Array.from(drawn));
    return drawn;
  }
}

interface ObservedMember extends TestMember {
  readonly entropy: NotedEntropy;
}

export function observedMembers(count: number): ObservedMember[] {
  return Array.from({ length: count }, (_, i) => {
    const siteId = `site-${String.fromCharCode(97 + i)}`;
    const identity = IdentityKey.fromSeed(new Uint8Array(32).fill(i + 1));
    return { siteId, identity, records: new Map(), entropy: new NotedEntropy(siteId) };
  });
}

function contribution() {
  const random = randomFor("oracle");
  const delta = Float32Array.from({ length: dimension }, () => (random.uniform() - 0.5) * 0.01);
  return { delta, tensorSizes: [dimension], sampleCount: 40, meanLoss: 2, figures: {}, steps: 5 };
}

export interface Observed {
  readonly knows: Knowledge;
  /** Survivors that do not work with the coordinator. */
  readonly honest: readonly string[];
}

export interface Setting {
  readonly members: readonly ObservedMember[];
  readonly attempt: number;
  readonly colluders: number;
  /** Share, and are gone. */
  readonly dropped: number;
  /** How far the coordinator lets the attempt come. */
  readonly until: "upload" | "unmask";
  /** Sites give shares of both kinds away, as no honest one does. */
  readonly bothKinds?: boolean;
}

/** The last sites drop out; the first ones work with the coordinator. */
export async function observe(setting: Setting): Promise<Observed> {
  const { members, colluders, dropped, until, bothKinds = false } = setting;
  const facts = {
    key: { runId: "run", round: 1, attempt: setting.attempt },
    ...{ dimension, tensorClips: [0.01], colluders, minCohort: colluders + 2 },
  };
  const roster = new Map(members.map(({ siteId, identity }) => [siteId, identity.publicKey]));
  const options = { contribution: contribution(), floors: { ...testFloors, members: roster } };
  const attempt = new TestAttempt(members, facts, options).advertise().share();
  const living = attempt.siteIds.slice(0, members.length - dropped);
  await attempt.upload(living);
  const signatures = until === "unmask" ? attempt.confirm() : [];
  const reveals = new Map<string, readonly Reveal[]>();
  if (until === "unmask") for (const site of living) reveals.set(site, attempt.session(site).reveal(signatures));
  const adverts = sortAdverts(attempt.adverts);
  const working = members.slice(0, bothKinds ? living.length : colluders);
  return {
    honest: living.slice(colluders),
    knows: {
      binding: { context: planContext(testPlan(facts).body), advertsDigest: advertsDigest(adverts) },
      ...{ adverts, reveals, sharers: attempt.siteIds, vectors: attempt.vectors },
      sealed: [...attempt.sealed.values()].flatMap(({ shares }) => shares),
      drawn: new Map(working.map(({ siteId, entropy }) => [siteId, sealDraws(entropy.drawn, bothKinds)])),
    },
  };
}

/** Of a site that gives both kinds away only what opens the shares that it holds, never its own secrets. */
function sealDraws(drawn: readonly Uint8Array[], only: boolean): readonly Uint8Array[] {
  return only ? drawn.slice(1, 2) : drawn;
}
