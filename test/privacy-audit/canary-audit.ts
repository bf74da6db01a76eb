import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { epsilonBy } from "@consilium/shared/privacy/calibrate.js";
import { randomFor } from "@consilium/shared/random.js";
import { type AuditedRun, batchSizeOf, clip, configOf, learningRate } from "./audited-run.js";
import { advantageAllowed, type Guesses, leastEpsilon } from "./one-run-bound.js";
import { patientGradients } from "./patient-gradients.js";
import { asCanary, type Picture, readPicture, writePictures } from "./pictures.js";
import { ridge } from "./ridge.js";
import { trainMembers } from "./train-members.js";

/** With which the least ε is said. */
const confidence = 0.95;
/** Share of the charged noise that stays where there is to be none: the trainer takes no σ of zero. */
const nothing = 1e-4;

export interface Attack {
  /** Of a guess at every canary: the rate of true alarms minus that of false ones. */
  readonly advantage: number;
  /** The surer half of the guesses. */
  readonly guesses: Guesses;
  /** ε that these refute. */
  readonly leastEpsilon: number;
}

export interface Audit {
  /** What ledgers say of the run, by loss distributions. */
  readonly epsilon: number;
  /** The most that this lets any attack have. */
  readonly advantageAllowed: number;
  readonly asCharged: Attack;
  /** The same training and the same attack where the noise is missing. */
  readonly withoutNoise: Attack;
}

/**
 * Trains with about half of the canaries, as a site does, and lets an auditor guess who they were, who knows the first
 * model, every picture, everybody else that took part, and what the site sends.
 * @param files pictures of the canaries, and then of the others
 */
export async function canaryAudit(run: AuditedRun, files: readonly string[]): Promise<Audit> {
  const { canaries, others, seed, delta, noiseMultiplier } = run;
  if (files.length < canaries + others)
    throw new Error(`${canaries + others} pictures are needed, not ${files.length}`);
  const plain = await Promise.all(files.slice(0, canaries + others).map(readPicture));
  const pictures = plain.map((picture, patient) => (patient < canaries ? asCanary(picture, patient) : picture));
  const coin = randomFor(seed, "members");
  const members = pictures.map((_, patient) => patient >= canaries || coin.integer(2) === 1);
  const gradients = await patientGradients(configOf(run), pictures);
  const attackAt = async (noise: number): Promise<Attack> => {
    const sent = await trained(run, { pictures, members, noise });
    return attack(run, { members, scores: memberScores(run, { gradients, sent, noise }) });
  };
  const epsilon = epsilonBy("pld", run, delta);
  return {
    ...{ epsilon, advantageAllowed: advantageAllowed(epsilon, delta) },
    asCharged: await attackAt(noiseMultiplier),
    withoutNoise: await attackAt(noiseMultiplier * nothing),
  };
}

interface Training {
  readonly pictures: readonly Picture[];
  readonly members: readonly boolean[];
  readonly noise: number;
}

/** What the site sends. */
async function trained(run: AuditedRun, { pictures, members, noise }: Training): Promise<Float32Array> {
  const directory = mkdtempSync(join(tmpdir(), "canary-audit-"));
  try {
    const present = new Map([...pictures.entries()].filter(([patient]) => members[patient]));
    const images = await writePictures(join(directory, "images"), present);
    const charged = { samplingRate: run.samplingRate, noiseMultiplier: noise };
    return await trainMembers({ config: configOf(run), images, directory, charged, seed: `audit-${run.seed}` });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Observed {
  /** Of all patients, canaries first. */
  readonly gradients: readonly Float32Array[];
  readonly sent: Float32Array;
  readonly noise: number;
}

/** How much more often than by the coin's mean each canary seems to have been drawn: above zero for a member. */
function memberScores(run: AuditedRun, { gradients, sent, noise }: Observed): Float64Array {
  const { canaries, samplingRate, steps } = run;
  // Each step moved the model by rate / batch times the sum of the drawn patients' gradients and of the noise.
  const sum = sent.map((value) => (-value * batchSizeOf(run)) / learningRate);
  const drawn = samplingRate * steps;
  for (const [patient, gradient] of gradients.entries()) {
    const expected = patient < canaries ? drawn / 2 : drawn;
    for (let i = 0; i < sum.length; i++) sum[i]! -= expected * gradient[i]!;
  }
  const drawnVariance = (drawn / 2) ** 2 + (drawn * (1 - samplingRate)) / 2;
  const noiseVariance = steps * (noise * clip) ** 2;
  return ridge(gradients.slice(0, canaries), sum, noiseVariance / drawnVariance);
}

function attack(
  { canaries, delta }: AuditedRun,
  { members, scores }: { readonly members: readonly boolean[]; readonly scores: Float64Array },
): Attack {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
  const alarmsAmong = (member: boolean) => {
    const those = order.filter((patient) => members[patient] === member);
    return those.filter((patient) => scores[patient]! > 0).length / those.length;
  };
  const sure = canaries >> 2;
  const right =
    order.slice(0, sure).filter((patient) => members[patient]).length +
    order.slice(-sure).filter((patient) => !members[patient]).length;
  const guesses = { canaries, guesses: 2 * sure, right };
  return {
    advantage: alarmsAmong(true) - alarmsAmong(false),
    ...{ guesses, leastEpsilon: leastEpsilon(guesses, { delta, confidence }) },
  };
}
