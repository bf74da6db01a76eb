import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { InferenceSession } from "onnxruntime-node";
import type { HostDtype, HostTensor, HostTensors } from "../../model/tensors.js";
import type { CompiledModel } from "../compiled-model.js";
import { CompiledSession } from "../compiled-session.js";
import type { Program } from "../program.js";
import type { ProfiledRun } from "./profile-report.js";

export interface SessionInspection {
  /** The model as ONNX Runtime rewrote it. */
  readonly rewritten: Uint8Array;
  /** Absent where no steps were asked for. */
  readonly profile?: ProfiledRun;
}

export interface InspectionRequest {
  readonly program: Program;
  readonly model: CompiledModel;
  readonly threads?: number;
  readonly profile?: {
    readonly steps: number;
    readonly inputs: HostTensors;
    /** Looked at between steps. */
    readonly signal: AbortSignal;
  };
}

/**
 * Opens a session on the processor that writes down what ONNX Runtime makes of a model and, where asked to, how long each node takes.
 * @throws ConsiliumError "internal" when ONNX Runtime refuses the model, AbortedError
 */
export async function inspectSession(request: InspectionRequest): Promise<SessionInspection> {
  const folder = await mkdtemp(join(tmpdir(), "consilium-explain-"));
  try {
    const compiled = await openSession(request, folder);
    const stepsMs = await runSteps(compiled, request);
    await compiled.release();
    const rewritten = await readFile(join(folder, modelFile));
    if (request.profile === undefined) return { rewritten };
    return { rewritten, profile: { stepsMs, events: await readProfile(folder) } };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const modelFile = "rewritten.onnx";
const profilePrefix = "profile";

interface OpenSession {
  readonly session: InferenceSession;
  readonly compiled: CompiledSession;
  release(): Promise<void>;
}

async function openSession(
  { program, model, threads, profile }: InspectionRequest,
  folder: string,
): Promise<OpenSession> {
  const session = await create(program.name, model.bytes, {
    executionProviders: ["cpu"],
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    enableMemPattern: false,
    optimizedModelFilePath: join(folder, modelFile),
    enableProfiling: profile !== undefined,
    profileFilePrefix: join(folder, profilePrefix),
    // Errors only: warnings are about the runtime's own choices.
    logSeverityLevel: 3,
  });
  return {
    session,
    compiled: new CompiledSession(program, model.outputs, session),
    async release() {
      if (profile !== undefined) session.endProfiling();
      await session.release();
    },
  };
}

async function create(
  name: string,
  bytes: Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConsiliumError("internal", `ONNX Runtime refused program ${name}: ${reason}`, { cause });
  }
}

async function runSteps({ compiled }: OpenSession, { program, model, profile }: InspectionRequest): Promise<number[]> {
  const stepsMs: number[] = [];
  // As in training, where state is written into memory that is there.
  const state = model.outputs.filter(({ name }) => name in program.inputs);
  const into = Object.fromEntries(state.map(({ name, shape, dtype }) => [name, emptyTensor(shape, dtype)]));
  for (let step = 0; profile !== undefined && step < profile.steps; step++) {
    if (profile.signal.aborted) throw new AbortedError();
    const start = performance.now();
    await compiled.run(profile.inputs, into);
    stepsMs.push(performance.now() - start);
  }
  return stepsMs;
}

function emptyTensor(shape: readonly number[], dtype: HostDtype): HostTensor {
  const length = sizeOf(shape);
  return { shape, data: dtype === "float32" ? new Float32Array(length) : new Int32Array(length) };
}

async function readProfile(folder: string): Promise<unknown> {
  const name = (await readdir(folder)).find((file) => file.startsWith(profilePrefix));
  if (name === undefined) throw new ConsiliumError("internal", "ONNX Runtime wrote no profile");
  return JSON.parse(await readFile(join(folder, name), "utf8"));
}
