import { ConsiliumError } from "@consilium/shared/errors.js";
import { randomFor } from "@consilium/shared/random.js";
import { ProtocolRefusal } from "@consilium/site-agent/secagg/refusal.js";
import { testPlan } from "../../../site-agent/src/secagg/test-cohort.js";
import { certifiedLists, noEvidence, violations } from "./evidence.js";
import { LiedToSite } from "./lied-to-site.js";
import { Lies } from "./lies.js";
import { type Stage, Story, stages } from "./story.js";

/**
 * One coordinator that tells real sites different plans, adverts, sharers, survivors and signatures, in any order, again, late
 * and over restarts, and runs rounds again with fewer sites. Everything follows from the seed.
 */

export interface Simulated {
  readonly violations: readonly string[];
  /** Lists that the coordinator could unmask. */
  readonly sums: number;
  /** What it was refused, by the name of the check or the error's code. */
  readonly refusals: readonly string[];
  /** Things it said to sites. */
  readonly told: number;
}

export interface Options {
  /** False: sites that begin every plan with an empty ledger, as no honest one does. */
  readonly remembers?: boolean;
}

/** An attempt that is under way: what is still to be said, and to whom. */
interface Play {
  readonly stories: readonly Story[];
  /** What each site is told the attempt's plan is. */
  readonly storyOf: ReadonlyMap<string, Story>;
  readonly left: { readonly stage: Stage; readonly site: LiedToSite }[];
}

export function simulate(seed: number, { remembers = true }: Options = {}): Simulated {
  const random = randomFor("equivocation", seed);
  const lies = new Lies(random);
  const colluders = random.integer(2);
  const count = Math.max(3 + colluders, 6 - Math.floor(random.uniform() ** 0.7 * 4));
  const evidence = noEvidence();
  const sites = Array.from({ length: count }, (_, i) => {
    const colludes = i < colluders;
    // What a colluding site says is no promise, and its ledger is whatever it likes.
    return new LiedToSite(i, colludes ? noEvidence() : evidence, { remembers: remembers && !colludes, seed });
  });
  const colluding = sites.slice(0, colluders);
  const refusals: string[] = [];
  let told = 0;

  const say = (story: Story, stage: Stage, site: LiedToSite, other: Story): void => {
    told++;
    try {
      story.tell(site, stage, other, colluding);
    } catch (thrown) {
      if (!(thrown instanceof ConsiliumError) || thrown.code === "internal") throw thrown;
      refusals.push(thrown instanceof ProtocolRefusal ? thrown.check : thrown.code);
    }
  };

  const said = { aborts: [] };
  const plays = [1, 2, 3].slice(0, 1 + random.integer(3)).map((attempt) => playOf(attempt));
  const allStories = plays.flatMap(({ stories }) => stories);

  function playOf(attempt: number): Play {
    const variants = lies.happens(0.15) ? ["one", "other"] : ["one"];
    const stories = variants.map((variant) => {
      const key = { runId: "run", round: 1, attempt };
      const facts = { key, colluders, minCohort: colluders + 2, runConfigJson: variant };
      return new Story(testPlan(facts), lies, said);
    });
    // The same sites again, or one less: the difference of the sums would be that one.
    const cohort = attempt > 1 && lies.happens(0.5) ? lies.shuffled(sites).slice(1) : sites;
    const storyOf = new Map(cohort.map(({ siteId }) => [siteId, lies.oneOf(stories)]));
    // The last attempts go all the way; earlier ones are given up anywhere, or finished in secret.
    const until = lies.happens(0.5) ? stages.length : 2 + random.integer(stages.length - 1);
    const left = stages.slice(0, until).flatMap((stage) => lies.shuffled(cohort).map((site) => ({ stage, site })));
    return { stories, storyOf, left };
  }

  const overlapping = lies.happens(0.3);
  while (plays.some(({ left }) => left.length > 0)) {
    const open = plays.filter(({ left }) => left.length > 0);
    const play = overlapping && lies.happens(0.1) ? lies.oneOf(open) : open[0]!;
    const { stage, site } = play.left.shift()!;
    const story = play.storyOf.get(site.siteId)!;
    say(story, stage, site, lies.oneOf(allStories));
    if (lies.happens()) say(story, stage, site, lies.oneOf(allStories));
    if (lies.happens()) say(lies.oneOf(allStories), lies.oneOf(stages), lies.oneOf(sites), story);
    if (lies.happens(0.02)) lies.oneOf(sites).restart();
    // What came late is said at the end.
    if (lies.happens(0.03)) play.left.push({ stage, site });
  }
  const setting = { colluding: colluding.map(({ siteId }) => siteId), colluders };
  return {
    violations: violations(evidence, setting),
    sums: certifiedLists(evidence, setting).length,
    refusals,
    told,
  };
}
