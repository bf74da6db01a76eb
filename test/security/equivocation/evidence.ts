/** What honest sites said and gave, whatever they were told, and whether it breaks what they promise. */

export interface Confirmation {
  readonly siteId: string;
  readonly attempt: number;
  /** ctx, and with h1 and h2: what the signature covers beside the list. Hex. */
  readonly context: string;
  readonly binding: string;
  /** h3 */
  readonly list: string;
  readonly survivors: readonly string[];
  /** U1 as this site was told. */
  readonly advertisers: readonly string[];
  readonly threshold: number;
}

export interface RevealedKind {
  readonly holder: string;
  readonly owner: string;
  readonly kind: "selfShare" | "pairwiseShare";
  /** ctx and h1: of which secrets of the owner. */
  readonly keys: string;
  readonly advertisers: readonly string[];
  readonly threshold: number;
}

/** Of honest sites only. */
export interface Evidence {
  readonly confirmations: Confirmation[];
  readonly reveals: RevealedKind[];
  readonly aborts: { readonly siteId: string; readonly context: string }[];
}

export const noEvidence = (): Evidence => ({ confirmations: [], reveals: [], aborts: [] });

interface Setting {
  /** Sites whose keys the coordinator has. */
  readonly colluding: readonly string[];
  /** c of every plan. */
  readonly colluders: number;
}

/** Lists that the coordinator can unmask: enough sites, colluding ones among them, have signed it. */
export function certifiedLists({ confirmations }: Evidence, { colluding }: Setting): Confirmation[] {
  const byList = groupBy(confirmations, ({ binding, list }) => `${binding}/${list}`);
  return byList.flatMap((signed) => {
    const [first] = signed;
    const signers = new Set([
      ...signed.map(({ siteId }) => siteId),
      ...colluding.filter((site) => first!.survivors.includes(site)),
    ]);
    return signers.size >= first!.threshold ? [first!] : [];
  });
}

/** In words; empty when every promise was kept. */
export function violations(evidence: Evidence, setting: Setting): string[] {
  return [
    ...secondLists(evidence),
    ...confirmedAfterAbort(evidence),
    ...bothKindsOfOneHolder(evidence),
    ...bothKindsOfOneOwner(evidence, setting),
    ...tellingDifferences(evidence, setting),
  ];
}

/** I5: at most one list of survivors per site and attempt. */
function secondLists({ confirmations }: Evidence): string[] {
  return groupBy(confirmations, ({ siteId, context }) => `${siteId}/${context}`)
    .filter((signed) => new Set(signed.map(({ binding, list }) => `${binding}/${list}`)).size > 1)
    .map(([first]) => `${first!.siteId} signed two lists of survivors in attempt ${first!.attempt}`);
}

function confirmedAfterAbort({ confirmations, aborts }: Evidence): string[] {
  return confirmations
    .filter((one) => aborts.some(({ siteId, context }) => siteId === one.siteId && context === one.context))
    .map(({ siteId, attempt }) => `${siteId} confirmed survivors of attempt ${attempt}, which it gave up`);
}

/** I6 */
function bothKindsOfOneHolder({ reveals }: Evidence): string[] {
  return groupBy(reveals, ({ holder, owner, keys }) => `${holder}/${owner}/${keys}`)
    .filter((given) => new Set(given.map(({ kind }) => kind)).size > 1)
    .map(([first]) => `${first!.holder} gave both kinds of share of ${first!.owner}`);
}

/** Colluding sites have shares of both kinds; with those of honest ones they must never be enough for both secrets. */
function bothKindsOfOneOwner({ reveals }: Evidence, { colluding }: Setting): string[] {
  const honestOwners = reveals.filter(({ owner }) => !colluding.includes(owner));
  return groupBy(honestOwners, ({ owner, keys }) => `${owner}/${keys}`).flatMap((given) => {
    const { owner, threshold, advertisers } = given[0]!;
    const own = colluding.filter((site) => advertisers.includes(site)).length;
    const holders = (wanted: RevealedKind["kind"]) =>
      new Set(given.filter(({ kind }) => kind === wanted).map(({ holder }) => holder)).size + own;
    const hasBoth = holders("selfShare") >= threshold && holders("pairwiseShare") >= threshold;
    return hasBoth ? [`both secrets of ${owner} can be worked out`] : [];
  });
}

/** I7-like: of two sums that can be unmasked and share an honest site, the difference hides at least c + 2 sites. */
function tellingDifferences(evidence: Evidence, setting: Setting): string[] {
  const lists = certifiedLists(evidence, setting);
  return lists.flatMap((one, i) =>
    lists.slice(i + 1).flatMap((other) => {
      const changed = [...one.survivors, ...other.survivors].filter(
        (site) => one.survivors.includes(site) !== other.survivors.includes(site),
      );
      const shared = one.survivors.some((site) => other.survivors.includes(site) && !setting.colluding.includes(site));
      if (!shared || changed.length === 0 || changed.length >= setting.colluders + 2) return [];
      return [`the sums of attempts ${one.attempt} and ${other.attempt} tell ${changed.join(", ")} apart`];
    }),
  );
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()];
}
