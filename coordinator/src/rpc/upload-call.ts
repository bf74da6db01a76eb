import { createHash } from "node:crypto";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { UploadPart, UploadSeal } from "@consilium/shared/rpc/gen/secagg.js";
import type { CallContext } from "@consilium/shared/rpc/serve-call.js";
import { interruptible } from "@consilium/shared/rpc/streams.js";
import type { Outcome } from "../round/outcomes.js";
import type { Submissions, UploadStart } from "../round/submissions.js";
import { requireKey } from "./codec.js";
import { requireOwnSite } from "./site-identity.js";
import { overloaded, type UploadAdmission } from "./upload-admission.js";

export interface UploadResult {
  readonly key: RoundKey;
  readonly siteId: string;
  readonly outcome: Outcome;
}

export interface UploadDesk {
  readonly submissions: Submissions;
  readonly admission: UploadAdmission;
}

/**
 * Receives a masked vector: header, chunks in order, seal. Nothing of it stays in memory. A vector has to wait for its
 * turn; once it is here, the next one has it, while the caller waits for its stage to close.
 * @throws ConsiliumError "overloaded" where there is no turn for it now, besides what submissions throw
 */
export async function receiveUpload(
  { submissions, admission }: UploadDesk,
  parts: AsyncIterable<UploadPart>,
  context: CallContext,
): Promise<UploadResult> {
  const iterator = parts[Symbol.asyncIterator]();
  let gaveWay = false;
  try {
    const header = await nextPart(iterator);
    if (header.$case !== "header") throw malformed("begins without a header");
    const siteId = requireOwnSite(context, header.value.siteId);
    const key = requireKey(header.value.key);
    const turn = await admission.enter(siteId, context.signal);
    try {
      const start = await submissions.beginUpload(key, siteId, header.value.words);
      const upload = { key, siteId, start, signal: context.signal, received: () => turn.end() };
      const rest = interruptible(remaining(iterator), turn.signal)[Symbol.asyncIterator]();
      return { key, siteId, outcome: await receiveBody(submissions, upload, rest) };
    } catch (thrown) {
      gaveWay = turn.signal.aborted;
      throw gaveWay ? overloaded(`an upload of site ${siteId} gave way to another site's`) : thrown;
    } finally {
      turn.end();
    }
  } finally {
    // One that hangs would not come to its end before its connection does.
    if (!gaveWay) await iterator.return?.();
  }
}

/** What has not been read yet. */
function remaining<T>(iterator: AsyncIterator<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => iterator };
}

interface Receiving {
  readonly key: RoundKey;
  readonly siteId: string;
  readonly start: UploadStart;
  readonly signal: AbortSignal;
  /** Called once nothing more is to come. */
  readonly received: () => void;
}

async function receiveBody(
  submissions: Submissions,
  { key, siteId, start, signal, received }: Receiving,
  parts: AsyncIterator<UploadPart>,
): Promise<Outcome> {
  switch (start.kind) {
    case "answered":
      return start.outcome;
    case "compare": {
      const hash = createHash("sha256");
      await readChunks(parts, async (words) => void hash.update(words));
      received();
      return submissions.repeatUpload(key, siteId, new Uint8Array(hash.digest()), signal);
    }
    case "write": {
      const { writer, expectedBytes } = start;
      try {
        const sealed = await readChunks(parts, async (words) => {
          if (writer.bytes + words.length > expectedBytes) {
            throw submissions.wrongLength(key, siteId, `more than ${expectedBytes} bytes`);
          }
          await writer.write(words);
        });
        received();
        if (writer.bytes !== expectedBytes) {
          throw submissions.wrongLength(key, siteId, `${writer.bytes} bytes instead of ${expectedBytes}`);
        }
        if (!Buffer.from(sealed.sha256).equals(writer.digest())) throw damaged();
        return await submissions.finishUpload({ key, siteId, signature: sealed.signature, signal }, writer);
      } finally {
        await writer.discard();
      }
    }
  }
}

/** Hands on the chunks and returns the seal; reads to the end of the stream. */
async function readChunks(
  parts: AsyncIterator<UploadPart>,
  take: (words: Uint8Array) => Promise<void>,
): Promise<UploadSeal> {
  for (let index = 0; ; index++) {
    const part = await nextPart(parts);
    if (part.$case === "seal") {
      if ((await parts.next()).done !== true) throw malformed("goes on after its seal");
      return part.value;
    }
    if (part.$case !== "chunk" || part.value.index !== index) throw malformed(`lacks chunk ${index}`);
    await take(part.value.words);
  }
}

async function nextPart(parts: AsyncIterator<UploadPart>): Promise<NonNullable<UploadPart["part"]>> {
  const step = await parts.next();
  const part = step.done === true ? undefined : step.value.part;
  if (part === undefined) throw malformed("ends without a seal");
  return part;
}

function malformed(reason: string): ConsiliumError {
  return new ConsiliumError("update-invalid", `the upload ${reason}`, { remedy: "send it again from the start" });
}

function damaged(): ConsiliumError {
  return new ConsiliumError("digest-mismatch", "the masked vector was damaged on the way", {
    remedy: "send it again from the start",
  });
}
