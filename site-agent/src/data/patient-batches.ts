import { orAborted } from "@consilium/shared/abort.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { poissonSample } from "@consilium/shared/privacy/sampling.js";
import { type DrawSeed, permutation, randomFor } from "@consilium/shared/random.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import { BatchMemory, type BatchViews } from "./batch-memory.js";
import type { ItemList } from "./index/item-list.js";
import type { Patients } from "./patients.js";
import type { Quarantine } from "./quarantine.js";
import { UnreadableImage } from "./source.js";
import type { BatchRow, ViewMaker } from "./view-maker.js";
import type { View } from "./view-plan.js";

export interface PatientBatchOptions {
  readonly items: ItemList;
  readonly patients: Patients;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  readonly views: readonly View[];
  readonly seed: DrawSeed;
  readonly siteId: string;
  /** q: with which each patient is drawn into a step. */
  readonly samplingRate: number;
  readonly imagesPerPatient: number;
  /** Patients of one run of the program: a batch has whole runs. */
  readonly slots: number;
  readonly firstStep: number;
  /** Draws the patients; whoever knew them in advance would know whom the noise of a step hides. */
  readonly entropy: Entropy;
  /** Steps that are prepared before they are asked for. */
  readonly ahead: number;
  readonly signal?: AbortSignal;
}

/**
 * An endless sequence of steps' batches, each with the patients of a Poisson sample in slots one after the other: each view
 * uint8 [slots × images, size, size, channels], and "present" [slots], 1 or 0. A sample of nobody is a batch without slots.
 * A patient none of whose images can be read is not present.
 * @throws ConsiliumError "not-enough-data" when too many images are unreadable, AbortedError
 */
export async function* patientBatches(options: PatientBatchOptions): AsyncGenerator<HostTensors, never, void> {
  const prepared: Promise<HostTensors>[] = [];
  for (let next = options.firstStep; ; ) {
    while (prepared.length <= options.ahead) prepared.push(quietly(stepBatch(options, next++)));
    yield await orAborted(prepared.shift()!, options.signal);
  }
}

/** Nobody comes for a batch that was prepared ahead and is not needed. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

async function stepBatch(options: PatientBatchOptions, step: number): Promise<HostTensors> {
  const { patients, samplingRate, entropy, slots } = options;
  const sample = poissonSample(patients.images.length, samplingRate, entropy);
  const drawn = await Promise.all(sample.map((patient) => patientViews(options, { patient, step })));
  return assembled(
    drawn.filter((views) => views !== undefined),
    { ...options, slots: slots * Math.ceil(drawn.length / slots) },
  );
}

function assembled(
  drawn: readonly BatchViews[],
  { views, imagesPerPatient, slots }: Pick<PatientBatchOptions, "views" | "imagesPerPatient" | "slots">,
): HostTensors {
  const rows = slots * imagesPerPatient;
  const present = Float32Array.from({ length: slots }, (_, slot) => (slot < drawn.length ? 1 : 0));
  const arrays = views.map(({ name, size, channels }, index): [string, HostTensor] => {
    const bytes = imagesPerPatient * size * size * channels;
    const data = new Uint8Array(slots * bytes);
    drawn.forEach((one, slot) => {
      data.set(one[index]!, slot * bytes);
    });
    return [name, { shape: [rows, size, size, channels], data }];
  });
  return { ...Object.fromEntries(arrays), present: { shape: [slots], data: present } };
}

interface Drawing {
  readonly patient: number;
  readonly step: number;
}

/** Views of a patient's images, of some twice where there are too few; undefined where none can be read. */
async function patientViews(options: PatientBatchOptions, drawing: Drawing): Promise<BatchViews | undefined> {
  const { views, imagesPerPatient, seed, siteId, patients } = options;
  const random = randomFor(seed, siteId, "patient", drawing.step, drawing.patient);
  const own = patients.images[drawing.patient]!;
  const order = [...permutation(own.length, random)].map((place) => own[place]!);
  const viewBytes = views.map(({ size, channels }) => size * size * channels);
  const memory = new BatchMemory({ batchSize: imagesPerPatient, viewBytes });
  const rows = Array.from({ length: imagesPerPatient }, (_, row) => {
    // From its own place on, so that rows differ as long as there are images.
    const turned = order.map((_, place) => order[(row + place) % order.length]!);
    return writeFirstReadable(options, turned, { drawing, target: { memory, row } });
  });
  const written = await Promise.all(rows);
  if (written.some(({ readable }) => !readable)) return undefined;
  const whole = written.find(({ views: complete }) => complete !== undefined)?.views;
  if (whole === undefined) throw new ConsiliumError("internal", "a patient's images were not completed");
  return whole;
}

interface WrittenRow {
  /** False where none of the patient's images could be read. */
  readonly readable: boolean;
  /** All rows, where this was the last. */
  readonly views: BatchViews | undefined;
}

interface Row {
  readonly drawing: Drawing;
  readonly target: BatchRow;
}

async function writeFirstReadable(
  { items, maker, quarantine, seed, siteId, signal }: PatientBatchOptions,
  images: readonly number[],
  { drawing: { step }, target }: Row,
): Promise<WrittenRow> {
  for (const index of images) {
    if (signal?.aborted) throw new AbortedError();
    const item = items.at(index);
    if (quarantine.holds(item)) continue;
    try {
      const views = await maker.make({ item, randomName: [seed, siteId, step, item.id, target.row] }, target);
      quarantine.noteReadable();
      return { readable: true, views };
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
      quarantine.add(item, thrown.reason);
    }
  }
  return { readable: false, views: undefined };
}
