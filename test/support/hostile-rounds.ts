import { randomBytes } from "node:crypto";
import type { StageOutcome } from "@consilium/site-agent/round/coordinator.js";
import type { HostileFederation } from "./hostile-federation.js";
import { type AttemptName, requireKind, type SitePart } from "./hostile-site.js";

/** Honest play through the stages, for the sites that a test leaves honest, and what the coordinator counted. */

export interface Ready {
  readonly part: SitePart;
  readonly delivered: Extract<StageOutcome, { kind: "delivered" }>;
}

/** The parts of these sites in an attempt, by default of all, in the order of the federation's sites. */
export function beginParts(
  federation: HostileFederation,
  runId: string,
  at: AttemptName = {},
  cohort: readonly string[] = federation.sites.map(({ siteId }) => siteId),
): Promise<SitePart[]> {
  return Promise.all(federation.sitesNamed(cohort).map((site) => site.begin(runId, at)));
}

/** All through advertise and share. */
export async function readyToUpload(parts: readonly SitePart[]): Promise<Ready[]> {
  const advertised = await Promise.all(parts.map((part) => part.advertise()));
  const delivered = await Promise.all(parts.map((part, i) => part.share(advertised[i]!)));
  return parts.map((part, i) => ({ part, delivered: delivered[i]! }));
}

/**
 * All through share, where the first site's shares for this many others are noise under a good signature.
 * @returns those others, which are ready but for shares that do not open
 */
export async function withNoise(parts: readonly SitePart[], count: number): Promise<Ready[]> {
  const adverts = await Promise.all(parts.map((part) => part.advertise()));
  const [first, ...rest] = parts;
  const { advertised } = adverts[0]!;
  const garbled = first!.session
    .share(advertised)
    .shares.map((share, i) => (i < count ? { ...share, ciphertext: randomBytes(share.ciphertext.length) } : share));
  const sharing = first!.send({ stage: "share", sealed: first!.signed(advertised, garbled) });
  const delivered = await Promise.all(rest.map((part, i) => part.share(adverts[i + 1]!)));
  await sharing;
  return rest.map((part, i) => ({ part, delivered: delivered[i]! }));
}

/** Upload, confirm and unmask by honest sites. */
export function finish(ready: readonly Ready[]): Promise<StageOutcome[]> {
  return Promise.all(
    ready.map(async ({ part, delivered: { delivered } }) => {
      const survivors = requireKind(await part.upload(part.masked(delivered)), "survivors");
      return part.unmask(await part.confirm(survivors));
    }),
  );
}

export async function playOut(parts: readonly SitePart[]): Promise<StageOutcome[]> {
  return finish(await readyToUpload(parts));
}

/** All through upload. */
export async function untilUnmask(parts: readonly SitePart[]) {
  const ready = await readyToUpload(parts);
  const uploaded = ready.map(async ({ part, delivered }) =>
    requireKind(await part.upload(part.masked(delivered.delivered)), "survivors"),
  );
  const survivors = await Promise.all(uploaded);
  const confirmed = await Promise.all(parts.map((part, i) => part.confirm(survivors[i]!)));
  return { parts, confirmed: confirmed[0]! };
}

/** Plays an attempt by honest sites only. */
export async function honestAttempt(federation: HostileFederation, runId: string, at: AttemptName): Promise<void> {
  await playOut(await beginParts(federation, runId, at));
}

export async function rejectedCalls(federation: HostileFederation, method: string, code: string): Promise<number> {
  const counted = await federation.metric("consilium_coordinator_rejected_inputs_total");
  return counted.get(`{method="${method}",code="${code}"}`) ?? 0;
}

export async function dropsCounted(federation: HostileFederation, reason: string): Promise<number> {
  return (await federation.metric("consilium_coordinator_site_drops_total")).get(`{reason="${reason}"}`) ?? 0;
}

/** What the coordinator wrote down about sites that it dropped from the run. */
export function dropsNoted(federation: HostileFederation, runId: string): { siteId: unknown; reason: unknown }[] {
  return federation.logged
    .filter(({ event, fields }) => event === "site-dropped" && fields["runId"] === runId)
    .map(({ fields }) => ({ siteId: fields["siteId"], reason: fields["reason"] }));
}
