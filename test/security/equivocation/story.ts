import type {
  Advertised,
  Delivered,
  KeyAdvert,
  ReceivedPlan,
  SealedShares,
  SignedUpload,
  SiteSignature,
} from "@consilium/shared/protocol.js";
import { planContext } from "@consilium/shared/protocol.js";
import { abortSignatureInput, survivorsDigest, survivorsSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { hex, type LiedToSite, nameOf } from "./lied-to-site.js";
import type { Lies } from "./lies.js";

export const stages = ["advertise", "share", "upload", "confirm", "reveal"] as const;
export type Stage = (typeof stages)[number];

interface Said {
  readonly aborts: Advertised["aborts"][number][];
}

/** One plan of an attempt, and what sites sent to whoever told them that it is the attempt's only one. */
export class Story {
  readonly received: ReceivedPlan;
  readonly context: Uint8Array;
  readonly #lies: Lies;
  readonly #said: Said;
  readonly #adverts = new Map<string, KeyAdvert>();
  readonly #sealed = new Map<string, { readonly advertsHash: string; readonly sealed: SealedShares }>();
  readonly #uploads = new Map<string, { readonly binding: string; readonly upload: SignedUpload }>();
  readonly #signatures: { readonly of: string; readonly signature: SiteSignature }[] = [];
  /** The lists of each stage that different sites are shown; made once, so that several sites can agree on a lie. */
  readonly #versions = new Map<string, readonly (readonly string[])[]>();

  constructor(received: ReceivedPlan, lies: Lies, said: Said) {
    this.received = received;
    this.context = planContext(received.body);
    this.#lies = lies;
    this.#said = said;
  }

  /** Takes one site through one stage. @throws ConsiliumError when the site refuses */
  tell(site: LiedToSite, stage: Stage, other: Story, colluding: readonly LiedToSite[]): void {
    if (stage === "advertise") {
      const { advert, aborts } = site.advertise(this.received);
      this.#adverts.set(site.siteId, advert);
      this.#said.aborts.push(...aborts);
      return;
    }
    if (site.toldIn(this.context) === undefined) return;
    if (stage === "share") this.#share(site, other, colluding);
    else if (stage === "upload") this.#upload(site, other);
    else if (stage === "confirm") this.#confirm(site, other);
    else this.#reveal(site, colluding);
  }

  #share(site: LiedToSite, other: Story, colluding: readonly LiedToSite[]): void {
    const listed = this.#version("share", [...this.#adverts.keys()]).map((siteId) => this.#adverts.get(siteId)!);
    const adverts = this.#lies.bend(listed, [...other.#adverts.values()]);
    const forged = colluding.map(({ siteId, identity }) => ({
      siteId,
      attempt: other.received.plan.key.attempt,
      signature: identity.sign(abortSignatureInput(other.context)),
    }));
    const aborts = this.#lies.bend([...this.#said.aborts, ...forged], []);
    const sealed = site.share({ adverts, aborts });
    this.#sealed.set(site.siteId, { advertsHash: hex(site.toldIn(this.context)!.advertsHash!), sealed });
  }

  #upload(site: LiedToSite, other: Story): void {
    const hash = site.toldIn(this.context)!.advertsHash;
    if (hash === undefined) return;
    const alike = [...this.#sealed]
      .filter(([, { advertsHash }]) => advertsHash === hex(hash))
      .map(([siteId]) => siteId);
    const chosen = this.#lies.bend(this.#version(`upload/${hex(hash)}`, alike), [...other.#sealed.keys()]);
    const delivered = this.#deliveryFor(site.siteId, chosen);
    const upload = site.upload(this.#lies.spoil(delivered));
    this.#uploads.set(site.siteId, { binding: nameOf(site.toldIn(this.context)!.binding!), upload });
  }

  #deliveryFor(siteId: string, sharers: readonly string[]): Delivered {
    const known = sharers.filter((from) => this.#sealed.has(from));
    return {
      sharers: known.map((from) => {
        const { root, signature } = this.#sealed.get(from)!.sealed;
        return { siteId: from, root, signature };
      }),
      shares: known.flatMap((from) => this.#sealed.get(from)!.sealed.shares.filter(({ toSite }) => toSite === siteId)),
    };
  }

  #confirm(site: LiedToSite, other: Story): void {
    const { binding } = site.toldIn(this.context)!;
    if (binding === undefined) return;
    const name = nameOf(binding);
    const alike = [...this.#uploads].filter(([, one]) => one.binding === name).map(([siteId]) => siteId);
    const shown = this.#version(`confirm/${name}`, alike).map((siteId) => this.#uploads.get(siteId)!.upload);
    const foreign = [...other.#uploads.values()].map(({ upload }) => upload);
    const uploads = this.#lies.bend(shown, foreign);
    const signature = site.confirm(uploads);
    this.#signatures.push({ of: `${name}/${hex(survivorsDigest(uploads))}`, signature });
  }

  #reveal(site: LiedToSite, colluding: readonly LiedToSite[]): void {
    const { binding, confirmed } = site.toldIn(this.context)!;
    if (binding === undefined || confirmed === undefined) return;
    const list = `${nameOf(binding)}/${hex(confirmed)}`;
    const honest = this.#signatures.filter(({ of }) => of === list).map(({ signature }) => signature);
    const forged = colluding.map(({ siteId, identity }) => {
      return { siteId, signature: identity.sign(survivorsSignatureInput(binding, confirmed)) };
    });
    const others = this.#signatures.map(({ signature }) => signature);
    const signatures = this.#lies.bend(
      [...honest, ...forged.filter(({ siteId }) => this.#uploads.has(siteId))],
      others,
    );
    site.reveal(dedupe(signatures));
  }

  #version(stage: string, everyone: readonly string[]): readonly string[] {
    const known = this.#versions.get(stage) ?? this.#lies.versionsOf(everyone);
    this.#versions.set(stage, known);
    return this.#lies.oneOf(known);
  }
}

/** A colluding site may have signed as itself too. */
function dedupe(signatures: readonly SiteSignature[]): SiteSignature[] {
  return [...new Map(signatures.map((one) => [`${one.siteId}/${hex(one.signature)}`, one])).values()];
}
