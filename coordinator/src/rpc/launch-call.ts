import { createHash } from "node:crypto";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { LaunchPart } from "@consilium/shared/rpc/gen/admin.js";
import type { RunSummary } from "../round/progress.js";
import type { RunQueue } from "../round/run-queue.js";

/**
 * Launches a run with the weights that the caller sends: header, values in order, seal. They go to disk as they come,
 * and become a checkpoint only when they are as many as the run has, finite, and have the seal's digest.
 * @throws ConsiliumError "config-invalid", "update-invalid", "not-finite" or "digest-mismatch"
 */
export async function receiveLaunch(
  queue: Pick<RunQueue, "launch">,
  parts: AsyncIterable<LaunchPart>,
  launchedBy: string,
): Promise<RunSummary> {
  const iterator = parts[Symbol.asyncIterator]();
  try {
    const first = await nextPart(iterator);
    if (first.$case !== "header") throw malformed("begin without a header");
    const { sourceSha256: source, ...request } = first.value;
    if (!/^[0-9a-f]{64}$/.test(source)) throw malformed("come from a file without a SHA-256");
    return await queue.launch(
      { ...request, launchedBy },
      { source, values: (dimension) => receiveValues(iterator, dimension) },
    );
  } finally {
    await iterator.return?.();
  }
}

/** Ends only when everything was as announced, so that a reader who reaches the end may keep what it read. */
async function* receiveValues(parts: AsyncIterator<LaunchPart>, dimension: number): AsyncGenerator<Float32Array> {
  const hash = createHash("sha256");
  let bytes = 0;
  for (;;) {
    const part = await nextPart(parts);
    if (part.$case === "seal") {
      if (bytes !== 4 * dimension) throw wrongLength(`${bytes} bytes`, dimension);
      if (!Buffer.from(part.value.sha256).equals(hash.digest())) throw damaged();
      if ((await parts.next()).done !== true) throw malformed("go on after their seal");
      return;
    }
    if (part.$case !== "values" || part.value.offset !== bytes) throw malformed(`lack those from byte ${bytes} on`);
    const { data } = part.value;
    if (bytes + data.length > 4 * dimension) throw wrongLength(`more than ${4 * dimension} bytes`, dimension);
    if (data.length % 4 !== 0) throw malformed("are cut inside a value");
    hash.update(data);
    const values = new Float32Array(Uint8Array.from(data).buffer);
    requireFinite(values, bytes / 4);
    bytes += data.length;
    yield values;
  }
}

async function nextPart(parts: AsyncIterator<LaunchPart>): Promise<NonNullable<LaunchPart["part"]>> {
  const step = await parts.next();
  const part = step.done === true ? undefined : step.value.part;
  if (part === undefined) throw malformed("end without a seal");
  return part;
}

function requireFinite(values: Float32Array, offset: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new ConsiliumError("not-finite", `value ${offset + at} of the weights to start from is ${values[at]}`, {
    remedy: "start from a file whose weights are finite",
  });
}

function malformed(reason: string): ConsiliumError {
  return new ConsiliumError("update-invalid", `the weights to start from ${reason}`, {
    remedy: "launch again; if this repeats, use the version of consilium that the coordinator has",
  });
}

function wrongLength(found: string, dimension: number): ConsiliumError {
  return new ConsiliumError(
    "update-invalid",
    `the weights to start from have ${found} where the run has ${dimension} values`,
    { remedy: "use the version of consilium that the coordinator has" },
  );
}

function damaged(): ConsiliumError {
  return new ConsiliumError("digest-mismatch", "the weights to start from were damaged on the way", {
    remedy: "launch again",
  });
}
