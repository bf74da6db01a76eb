import { randomBytes } from "node:crypto";
import { systemEntropy } from "@consilium/shared/entropy.js";
import type { KeyAdvert, Reveal } from "@consilium/shared/protocol.js";
import { commitSelfSecret, publicKeyOf, selfMaskKey } from "@consilium/shared/secagg/key-agreement.js";
import { completeNeighbourhoods } from "@consilium/shared/secagg/neighbourhoods.js";
import { randomFieldElement, splitSecret } from "@consilium/shared/secagg/shamir.js";
import { describe, expect, it } from "vitest";
import type { SiteReveals } from "./collect-shares.js";
import { remainingMasks, type UnmaskFailedError, type UnmaskingInput } from "./reconstruct.js";

const binding = { context: randomBytes(32), advertsDigest: randomBytes(32) };

interface Dealer {
  readonly siteId: string;
  readonly advert: KeyAdvert;
  readonly selfSecret: Buffer;
  readonly maskShares: ReturnType<typeof splitSecret>;
  readonly selfShares: ReturnType<typeof splitSecret>;
}

function dealer(siteId: string, count: number, threshold: number): Dealer {
  const [maskSecret, selfSecret] = [randomFieldElement(systemEntropy), randomFieldElement(systemEntropy)];
  const options = { count, threshold, entropy: systemEntropy };
  const advert: KeyAdvert = {
    siteId,
    maskPublicKey: publicKeyOf(maskSecret),
    sealPublicKey: randomBytes(32),
    selfCommitment: commitSelfSecret(binding.context, siteId, selfSecret),
    nonce: randomBytes(32),
    signature: randomBytes(64),
    identityPublicKey: randomBytes(32),
  };
  const maskShares = splitSecret(maskSecret, options);
  return { siteId, advert, selfSecret, maskShares, selfShares: splitSecret(selfSecret, options) };
}

/** All of `count` sites share; those in `lost` drop afterwards. */
function attempt(options: { count: number; threshold: number; lost: readonly string[] }): UnmaskingInput {
  const { count, threshold, lost } = options;
  const dealers = Array.from({ length: count }, (_, i) => dealer(`s${String(i).padStart(3, "0")}`, count, threshold));
  const sharers = dealers.map(({ siteId }) => siteId);
  const survivors = sharers.filter((site) => !lost.includes(site));
  const revealsAt = (holder: number): Reveal[] =>
    dealers.map(({ siteId, maskShares, selfShares }) =>
      lost.includes(siteId)
        ? { aboutSite: siteId, share: { $case: "pairwiseShare", value: maskShares[holder]!.value } }
        : { aboutSite: siteId, share: { $case: "selfShare", value: selfShares[holder]!.value } },
    );
  const neighbourhoods = completeNeighbourhoods(sharers, threshold);
  const reveals = survivors.map((fromSite) => ({ fromSite, reveals: revealsAt(sharers.indexOf(fromSite)) }));
  return { adverts: dealers.map(({ advert }) => advert), sharers, survivors, reveals, binding, neighbourhoods };
}

function alter(input: UnmaskingInput, site: string, change: (reveals: readonly Reveal[]) => Reveal[]): UnmaskingInput {
  const reveals: SiteReveals[] = input.reveals.map((one) =>
    one.fromSite === site ? { ...one, reveals: change(one.reveals) } : one,
  );
  return { ...input, reveals };
}

const falsified = (reveals: readonly Reveal[]) =>
  reveals.map(({ aboutSite, share }) => ({ aboutSite, share: { ...share, value: randomFieldElement(systemEntropy) } }));

describe("remainingMasks", () => {
  it("gives every survivor's self mask and the lost sites' pairwise masks with them", () => {
    const input = attempt({ count: 5, threshold: 3, lost: ["s001"] });
    const { masks, blamed } = remainingMasks(input);
    expect(blamed).toEqual([]);
    expect(masks).toHaveLength(4 + 4);
    expect(masks.map((mask) => mask.sign)).toEqual([1, 1, 1, 1, 1, -1, -1, -1]);
  });

  it("reconstructs the very keys that the sites used", () => {
    const selfKeys = (input: UnmaskingInput) => remainingMasks(input).masks.map(({ key }) => Buffer.from(key));
    const input = attempt({ count: 3, threshold: 2, lost: [] });
    const { siteId, selfSecret, advert, selfShares } = dealer("s000", 3, 2);
    const reveals = input.reveals.map((one, holder) => ({
      ...one,
      reveals: one.reveals.map((reveal) =>
        reveal.aboutSite === siteId
          ? { ...reveal, share: { $case: "selfShare" as const, value: selfShares[holder]!.value } }
          : reveal,
      ),
    }));
    const keys = selfKeys({ ...input, adverts: [advert, ...input.adverts.slice(1)], reveals });
    expect(keys[0]?.equals(selfMaskKey(binding, siteId, selfSecret))).toBe(true);
  });

  it("works around false shares and blames who revealed them", () => {
    const honest = attempt({ count: 7, threshold: 4, lost: ["s006"] });
    const { masks } = remainingMasks(honest);
    const tampered = alter(alter(honest, "s000", falsified), "s003", falsified);
    const recovered = remainingMasks(tampered);
    expect(recovered.blamed).toEqual(["s000", "s003"]);
    expect(recovered.masks).toEqual(masks);
  });

  it.each<[string, (reveals: readonly Reveal[]) => Reveal[]]>([
    ["leaves one out", (reveals) => reveals.slice(1)],
    ["repeats one", (reveals) => [...reveals, reveals[0]!]],
    [
      "gives the other kind",
      (reveals) => reveals.map(({ aboutSite, share }) => ({ aboutSite, share: { ...share, $case: "pairwiseShare" } })),
    ],
    [
      "gives malformed bytes",
      (reveals) =>
        reveals.map(({ aboutSite, share }) => ({ aboutSite, share: { ...share, value: new Uint8Array(3) } })),
    ],
  ])("blames a site that %s, and does without it", (_, change) => {
    const honest = attempt({ count: 4, threshold: 3, lost: [] });
    const { blamed, masks } = remainingMasks(alter(honest, "s002", change));
    expect(blamed).toEqual(["s002"]);
    expect(masks).toEqual(remainingMasks(honest).masks);
  });

  it("fails with the absent sites as suspects when shares are missing", () => {
    const input = attempt({ count: 4, threshold: 3, lost: [] });
    const expected: Partial<UnmaskFailedError> = { code: "share-invalid", suspects: ["s002", "s003"] };
    const short = { ...input, reveals: input.reveals.slice(0, 2) };
    expect(() => remainingMasks(short)).toThrow(expect.objectContaining(expected));
  });

  it("K: a dealer whose shares never give the secret that it committed to is suspected, and left out of the next attempt", () => {
    const input = attempt({ count: 5, threshold: 3, lost: [] });
    const adverts = input.adverts.map((advert) =>
      advert.siteId === "s001" ? { ...advert, selfCommitment: randomBytes(32) } : advert,
    );
    const expected: Partial<UnmaskFailedError> = { suspects: ["s001"] };
    expect(() => remainingMasks({ ...input, adverts })).toThrow(expect.objectContaining(expected));
  });

  it("ignores reveals from outside the sum", () => {
    const input = attempt({ count: 5, threshold: 3, lost: ["s004"] });
    const outsider = { fromSite: "s004", reveals: falsified(input.reveals[0]!.reveals) };
    expect(remainingMasks({ ...input, reveals: [...input.reveals, outsider] }).blamed).toEqual([]);
  });

  it("counts only the first reveals of a site", () => {
    const input = attempt({ count: 4, threshold: 4, lost: [] });
    const twice = { ...input, reveals: [input.reveals[0]!, ...input.reveals] };
    expect(remainingMasks(twice).masks).toHaveLength(4);
  });
});
