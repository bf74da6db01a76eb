import type { PatientPrivacy } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ItemList } from "../data/index/item-list.js";
import type { PatientBatchOptions } from "../data/patient-batches.js";
import { type Patients, patientsOf } from "../data/patients.js";
import type { DeviceName, OpenedEngine } from "../engine/devices/device.js";
import { availableMemory, readMemory } from "../engine/memory/available-memory.js";
import { compilePrivateStep, PrivateStepper } from "../engine/patient/private-stepper.js";
import { runStep } from "../engine/run-step.js";
import type { SslMethod } from "../ssl/method.js";
import type { CompiledStep } from "./compiled-step.js";
import type { TrainerParts } from "./prepared-run.js";
import type { CheckedJob, PrivateTraining } from "./protocol.js";
import { stepDescription, tellPrepared } from "./step-facts.js";

/** How a private run's steps draw patients. */
export interface PatientDrawing
  extends Pick<PatientBatchOptions, "samplingRate" | "imagesPerPatient" | "slots" | "entropy"> {
  patientsOf(items: ItemList): Patients;
}

/** Patients of one run of a program: few, because slots without one are computed too; one where loops are unrolled. */
function slotsFor(expectedPatients: number, device: DeviceName): number {
  return device === "webgpu" ? 1 : Math.min(8, expectedPatients);
}

/**
 * @throws ConsiliumError "config-invalid" for a method that couples images, "out-of-memory", and "internal" for a job that
 *   does not say what was charged
 */
export async function compilePatientStep(
  job: CheckedJob,
  opened: OpenedEngine,
  parts: TrainerParts,
): Promise<CompiledStep> {
  const { config } = job;
  const { privacy, charged } = privacyOf(job);
  const startedAt = parts.now();
  const { method, layout, optimizer, rateOf } = { rateOf: undefined, ...runStep(config, opened) };
  // site-check: batch-coupled-method
  requireUncoupled(method);
  const { imagesPerPatient, clip } = privacy;
  const expectedPatients = config.training.batchSize;
  const slots = slotsFor(expectedPatients, opened.device);
  const shape = { method, layout, optimizer };
  const programs = await compilePrivateStep(
    opened.engine,
    {
      ...{ ...shape, slots, imagesPerPatient, clip, expectedPatients, noiseMultiplier: charged.noiseMultiplier },
      ...(rateOf === undefined ? {} : { rateOf }),
    },
    (half) => stepDescription(config, { layout }, { half, slots }),
  );
  const release = async () => {
    await Promise.all([programs.gradients.release(), programs.update.release()]);
  };
  if (opened.device === "cpu") {
    const needed = programs.gradients.report?.peakBytes ?? 0;
    const available = parts.availableMemory?.() ?? availableMemory(readMemory());
    if (needed > available) {
      await release();
      throw outOfMemory(needed, available);
    }
  }
  tellPrepared(job, opened, { parts, step: programs.gradients, startedAt });
  return {
    shape,
    stepsPerCall: 1,
    partImages: imagesPerPatient,
    slots,
    start: async (state) => new PrivateStepper(programs, shape, { state, entropy: parts.entropy }),
    release,
  };
}

/** @throws ConsiliumError "config-invalid" where curation would draw images otherwise than by chance of each patient */
export function patientDrawing(
  job: CheckedJob,
  step: CompiledStep,
  { entropy }: Pick<TrainerParts, "entropy">,
): PatientDrawing {
  const { data: settings } = job;
  const { charged, privacy } = privacyOf(job);
  if (settings.curation !== undefined) {
    throw new ConsiliumError(
      "config-invalid",
      "data.curation draws some images more often, which privacy cannot count",
      {
        remedy: "take curation out of site.yaml for private runs",
      },
    );
  }
  const { mostImagesPerPatient: mostImages } = charged;
  return {
    ...{ samplingRate: charged.samplingRate, imagesPerPatient: privacy.imagesPerPatient, entropy },
    slots: step.slots ?? 1,
    patientsOf: (items) => patientsOf({ items, settings, mostImages }),
  };
}

/** @throws ConsiliumError "config-invalid" for a method whose gradient of one patient depends on others */
function requireUncoupled({ name, coupling }: Pick<SslMethod, "name" | "coupling">): void {
  if (coupling === undefined) return;
  throw new ConsiliumError("config-invalid", `privacy of patients is not possible here: ${name} ${coupling}`, {
    remedy: "choose a method whose loss is each image's own, such as mae",
  });
}

function privacyOf({ config: { privacy }, privacy: charged }: CheckedJob): {
  readonly privacy: PatientPrivacy;
  readonly charged: PrivateTraining;
} {
  if (privacy.mode === "patient" && charged !== undefined) return { privacy, charged };
  throw new ConsiliumError("internal", "a private run was to be trained without having been charged for");
}

function outOfMemory(needed: number, available: number): ConsiliumError {
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  return new ConsiliumError(
    "out-of-memory",
    `the gradient of one patient needs ${mebibytes(needed)} MiB, of which ${mebibytes(available)} are free`,
    { remedy: "lower privacy.imagesPerPatient, set training.recompute, or take a smaller model" },
  );
}
