import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostileFederation } from "../support/hostile-federation.js";
import { beginParts, untilUnmask } from "../support/hostile-rounds.js";

let federation: HostileFederation;
beforeAll(async () => {
  federation = await HostileFederation.start(["north", "south", "west"]);
}, 60_000);
afterAll(() => federation.stop(), 20_000);

/** Gives real randomness and remembers every secret that it gave: s_u, e_u, b_u, shares' coefficients, rounding keys. */
class RememberingEntropy implements Entropy {
  readonly drawn: Buffer[] = [];

  bytes(count: number): Uint8Array {
    const drawn = systemEntropy.bytes(count);
    this.drawn.push(Buffer.from(drawn));
    return drawn;
  }
}

function filesBelow(directory: string): { path: string; bytes: Buffer }[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, bytes: readFileSync(path) }));
}

/** Where a secret is found, as it is or as text. */
function leaksIn(secrets: readonly Buffer[], places: readonly { path: string; bytes: Buffer }[]): string[] {
  return places.flatMap(({ path, bytes }) =>
    secrets
      .flatMap((secret) => [
        secret,
        ...["hex", "base64", "base64url"].map((form) => Buffer.from(secret.toString(form as "hex"))),
      ])
      .filter((form) => bytes.includes(form))
      .map(() => path),
  );
}

describe("secrets of sites", () => {
  it("are nowhere at the coordinator: not on its disk at any stage, not in its log, not in its metrics", async () => {
    const memory = new RememberingEntropy();
    for (const site of federation.sites) site.entropy = memory;
    const invitation = await federation.invite("newcomer");
    const look = async () => {
      const page = await (await fetch(`http://127.0.0.1:${federation.ports.metrics}/metrics`)).text();
      const logged = { path: "log", bytes: Buffer.from(JSON.stringify(federation.logged)) };
      const places = [...filesBelow(federation.home), logged, { path: "metrics", bytes: Buffer.from(page) }];
      // A nonce is no secret and is drawn last for an advert; it is what shows that the search finds what is there.
      const secrets = memory.drawn.filter(({ length }) => length === 32);
      return { places, secrets: [...secrets, Buffer.from(invitation.secret)] };
    };
    const runId = await federation.launch();
    const parts = await beginParts(federation, runId);
    const nonces = () => parts.map((part) => Buffer.from(part.session.advertise().advert.nonce));
    const isNonce = (secret: Buffer) => nonces().some((nonce) => nonce.equals(secret));
    const { confirmed } = await untilUnmask(parts);
    const during = await look();
    expect(during.secrets.length).toBeGreaterThan(3 * 4);
    expect(leaksIn(nonces(), during.places).length).toBeGreaterThan(0);
    expect(
      leaksIn(
        during.secrets.filter((secret) => !isNonce(secret)),
        during.places,
      ),
    ).toEqual([]);
    await Promise.all(parts.map((part) => part.unmask(confirmed)));
    await federation.committed(runId);
    const after = await look();
    expect(
      leaksIn(
        after.secrets.filter((secret) => !isNonce(secret)),
        after.places,
      ),
    ).toEqual([]);
  }, 60_000);
});
