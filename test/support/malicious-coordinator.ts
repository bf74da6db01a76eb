import { createHash } from "node:crypto";
import type { ReceivedPlan } from "@consilium/shared/protocol.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type { StageCall, StageMessage, StageOutcome } from "@consilium/site-agent/round/coordinator.js";
import { FakeCoordinator } from "../../site-agent/src/round/test-federation.js";
import { bytesOf, TestAttempt, testContribution, testMember } from "../../site-agent/src/secagg/test-cohort.js";
import { exampleLayout } from "../../site-agent/src/test-plans.js";

type Twist = (honest: StageOutcome) => StageOutcome;

/**
 * Runs the protocol with real sessions of other sites, and tells the one under test whatever `twists` make of it. A twist
 * may throw.
 */
export class MaliciousCoordinator extends FakeCoordinator {
  readonly victim: string;
  /** By the stage whose answer they change. */
  readonly twists: Partial<Record<StageMessage["stage"] | "upload", Twist>> = {};
  readonly #others;
  #attempt: TestAttempt | undefined;

  constructor(victim: string, others: readonly string[]) {
    super();
    this.victim = victim;
    this.#others = others.map(testMember);
  }

  /** The other sites of the attempt that this plan begins. */
  begin(received: ReceivedPlan): void {
    const { dimension } = received.plan;
    const tensorSizes = exampleLayout.parameters.map(({ size }) => size);
    const contribution = { ...testContribution, delta: new Float32Array(dimension), tensorSizes };
    this.#attempt = new TestAttempt(this.#others, {}, { received, contribution });
  }

  get attempt(): TestAttempt {
    return this.#attempt!;
  }

  override async exchange(message: StageMessage, { key }: StageCall): Promise<StageOutcome> {
    this.calls.push(`${message.stage} ${key.round}/${key.attempt}`);
    const honest = this.#honest(message);
    return this.twists[message.stage]?.(honest) ?? honest;
  }

  override async upload(upload: MaskedUpload, { key }: StageCall): Promise<StageOutcome> {
    this.calls.push(`upload ${key.round}/${key.attempt}`);
    const vector = await bytesOf(upload);
    const sha256 = createHash("sha256").update(vector).digest();
    this.attempt.vectors.set(this.victim, vector);
    this.attempt.uploads.set(this.victim, { siteId: this.victim, sha256, signature: upload.seal(sha256) });
    await this.attempt.upload();
    const honest: StageOutcome = { kind: "survivors", uploads: this.attempt.survivors() };
    return this.twists.upload?.(honest) ?? honest;
  }

  #honest(message: StageMessage): StageOutcome {
    const { attempt, victim } = this;
    switch (message.stage) {
      case "advertise":
        attempt.advertisements.set(victim, message.advertisement);
        return { kind: "advertised", advertised: attempt.advertise().advertised };
      case "share":
        attempt.sealed.set(victim, message.sealed);
        return { kind: "delivered", delivered: attempt.share().deliveryFor(victim) };
      case "confirm": {
        const own = { siteId: victim, signature: message.signature };
        return { kind: "confirmed", signatures: [own, ...attempt.confirm(attempt.siteIds)] };
      }
      case "unmask":
        return { kind: "result", cohort: [], checkpointDigest: new Uint8Array(32) };
    }
  }
}
