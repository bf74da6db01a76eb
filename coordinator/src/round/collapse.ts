import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { Figures } from "@consilium/shared/secagg/figures.js";

/**
 * Whether a run's encoder has stopped telling images apart: every image gets the same features, or features that lie on a
 * line, or the teacher gives every image the same answer (see Caron et al. 2021, figure 7, on the latter).
 */

/** A committed round, as the alarm looks at it. */
export interface WatchedRound {
  readonly round: number;
  readonly figures: Figures;
}

export interface CollapseThresholds {
  readonly minFeatureSpread: number;
  readonly minEffectiveRank: number;
  /** Rounds in a row that must look collapsed. */
  readonly patienceRounds: number;
  /** Rounds before this are not looked at: encoders begin with features that are much alike. */
  readonly firstRound: number;
  /** Rounds after this are not: there is nothing left to pause. */
  readonly lastRound: number;
  /** ln K, where a teacher chooses among K prototypes. */
  readonly largestEntropy: number | null;
}

const unwatchedShare = 0.1;

/**
 * Methods that restore pixels cannot be at a low loss with the same features for all images, and nothing draws their
 * features apart: a healthy encoder's may vary in little more than one direction. A run of clusters has no encoder.
 */
const unwatched: ReadonlySet<RunConfig["method"]["name"]> = new Set(["mae", "gmml", "colorme", "clusters"] as const);

/** @returns null where the run asks for no alarm, or its method has no use for one */
export function collapseThresholds(config: RunConfig): CollapseThresholds | null {
  const { monitor, rounds, method } = config;
  if (monitor.collapse === "off" || unwatched.has(method.name)) return null;
  const { minFeatureSpread, minEffectiveRank, patienceRounds } = monitor;
  return {
    ...{ minFeatureSpread, minEffectiveRank, patienceRounds },
    firstRound: Math.ceil(unwatchedShare * rounds) + 1,
    lastRound: rounds - 1,
    largestEntropy: "outputDim" in method ? Math.log(method.outputDim) : null,
  };
}

/** The rounds that the alarm looks back on once another is committed, oldest first. */
export function watchAlso(
  watched: readonly WatchedRound[],
  round: WatchedRound,
  thresholds: CollapseThresholds | null,
): readonly WatchedRound[] {
  if (thresholds === null || round.round < thresholds.firstRound) return watched;
  return [...watched, round].slice(-thresholds.patienceRounds);
}

/** Features whose spread or rank grew by this factor over the watched rounds are on their way up. */
const recovery = 1.25;

/** A teacher is as good as certain, or as good as undecided, outside these shares of ln K … */
const certain = 0.01;
const undecided = 0.999;
/** … and says the same of every image where a student needs to know nothing of the image to agree, in nats. */
const agreement = 1e-3;

/**
 * @param history as `watchAlso` keeps it
 * @returns undefined unless all of the last `patienceRounds` rounds show the same sign
 */
export function collapseReason(
  history: readonly WatchedRound[],
  thresholds: CollapseThresholds | null,
): string | undefined {
  const newest = history.at(-1);
  if (thresholds === null || newest === undefined || history.length < thresholds.patienceRounds) return undefined;
  if (newest.round > thresholds.lastRound) return undefined;
  const watched = history.slice(-thresholds.patienceRounds);
  const reason =
    lowReason(watched, { figure: "featureSpread", words: "spread of features", least: thresholds.minFeatureSpread }) ??
    lowReason(watched, { figure: "effectiveRank", words: "rank of features", least: thresholds.minEffectiveRank }) ??
    teacherReason(watched, thresholds.largestEntropy);
  return reason === undefined ? undefined : `collapsed: ${reason} ${roundsText(watched)}`;
}

interface LowSign {
  readonly figure: "featureSpread" | "effectiveRank";
  readonly words: string;
  readonly least: number;
}

function lowReason(watched: readonly WatchedRound[], { figure, words, least }: LowSign): string | undefined {
  const values = watched.flatMap(({ figures }) => figures[figure] ?? []);
  if (values.length < watched.length || !values.every((value) => value < least)) return undefined;
  const [first, last] = [values[0]!, values.at(-1)!];
  return last > recovery * first ? undefined : `${words} ${short(last)}, below ${least},`;
}

function teacherReason(watched: readonly WatchedRound[], largestEntropy: number | null): string | undefined {
  if (largestEntropy === null || !(largestEntropy > 0)) return undefined;
  const agreed = watched.every(({ figures: { teacherKl } }) => teacherKl !== undefined && teacherKl < agreement);
  const shares = watched.flatMap(({ figures }) => figures.teacherEntropy ?? []).map((nats) => nats / largestEntropy);
  if (!agreed || shares.length < watched.length) return undefined;
  const share = `${short(100 * shares.at(-1)!)} % of the largest,`;
  if (shares.every((one) => one < certain)) return `teacher certain of one answer for every image, entropy ${share}`;
  if (shares.every((one) => one > undecided)) return `teacher undecided about every image, entropy ${share}`;
  return undefined;
}

function roundsText(watched: readonly WatchedRound[]): string {
  const [first, last] = [watched[0]!.round, watched.at(-1)!.round];
  return first === last ? `in round ${last}` : `in rounds ${first} to ${last}`;
}

const short = (value: number): string => String(Number(value.toPrecision(3)));
