import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { codeKey, remedyKey } from "@consilium/shared/rpc/status.js";
import { InterceptingCall, type Interceptor, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import type { Egress } from "../audit/egress-record.js";
import { askManifest, type Leaving } from "./egress-manifest.js";

/**
 * The one place through which messages leave: put on every client of the coordinator. It holds each message against the
 * manifest, has it written down where it must be, and counts its bytes; what may not leave ends the call.
 */
export function egressDoor(egress: Egress): Interceptor {
  return (options, nextCall) => {
    const { path, requestSerialize } = options.method_definition;
    const passage = new Passage(path, egress);
    const call = nextCall(options);
    return new InterceptingCall(call, {
      start(metadata, _listener, next) {
        passage.checkHeaders(metadata);
        next(metadata, {
          onReceiveStatus: (received, pass) => pass(passage.ended(received)),
        });
      },
      sendMessage(message: unknown, next) {
        if (passage.lets(message, () => requestSerialize(message).length)) next(message);
        else call.cancelWithStatus(status.ABORTED, "a message was not let out of the site");
      },
    });
  };
}

/** One call and what went through it. */
class Passage {
  readonly #path: string;
  readonly #egress: Egress;
  #upload: { readonly key: NonNullable<Leaving["key"]>; bytes: number } | undefined;
  #refusal: ConsiliumError | undefined;

  constructor(path: string, egress: Egress) {
    this.#path = path;
    this.#egress = egress;
  }

  /** Headers could carry anything; ours carry nothing. */
  checkHeaders(metadata: Metadata): void {
    const [name] = Object.keys(metadata.getMap());
    // site-check: egress-headers
    if (name !== undefined) this.#refusal = stopped(`the manifest does not allow its header "${name}"`);
  }

  /** Whether the message may go; what says no is kept as the call's end. */
  lets(message: unknown, measure: () => number): boolean {
    if (this.#refusal !== undefined) return false;
    try {
      this.#letOut(message, measure);
      return true;
    } catch (thrown) {
      this.#refusal = asConsiliumError(thrown);
      return false;
    }
  }

  #letOut(message: unknown, measure: () => number): void {
    const answer = askManifest(this.#path, message);
    // site-check: egress-manifest
    if (!("leaving" in answer)) {
      const refusal = stopped(answer.objection);
      this.#egress.stopped(answer.kind);
      throw refusal;
    }
    const bytes = measure();
    // site-check: egress-audited
    this.#writeDown(answer.leaving, bytes);
    this.#egress.left(answer.leaving.kind, bytes);
  }

  #writeDown(leaving: Leaving, bytes: number): void {
    const { kind, key } = leaving;
    switch (kind) {
      case "enrol":
        this.#egress.releaseEnrolment(bytes);
        return;
      case "attach":
      case "report":
      case "roster-request":
      case "checkpoint-request":
        this.#egress.count({ kind, runId: key?.runId, bytes });
        return;
      case "upload":
        this.#partLeaves(leaving, bytes);
        return;
      default:
        if (key === undefined) throw stopped("it names no round");
        this.#egress.release({ kind, key, bytes });
    }
  }

  /** The header speaks for the whole upload, whose size it names. */
  #partLeaves({ key, words }: Leaving, bytes: number): void {
    if (key !== undefined && words !== undefined) {
      this.#egress.release({ kind: "upload", key, bytes: 4 * words });
      this.#upload = { key, bytes: 0 };
    }
    // site-check: egress-upload-header
    if (this.#upload === undefined) throw stopped("its upload has no header yet");
    this.#upload.bytes += bytes;
  }

  ended(received: StatusObject): StatusObject {
    if (this.#upload !== undefined) {
      const { key, bytes } = this.#upload;
      this.#egress.uploaded({ key, bytes, code: received.code === status.OK ? undefined : endCode(received) });
    }
    return this.#refusal === undefined ? received : statusOf(this.#refusal);
  }
}

/** Our own code where the coordinator gave one, or else the name of gRPC's. */
function endCode({ code, metadata }: StatusObject): string {
  return metadata.get(codeKey)[0]?.toString() ?? (status[code] ?? "UNKNOWN").toLowerCase();
}

function statusOf({ code, message, remedy }: ConsiliumError): StatusObject {
  const metadata = new Metadata();
  metadata.set(codeKey, code);
  if (remedy !== undefined) metadata.set(remedyKey, Buffer.from(remedy));
  return { code: status.ABORTED, details: message, metadata };
}

function stopped(objection: string): ConsiliumError {
  return new ConsiliumError("internal", `a message was not let out of the site: ${objection}`, {
    remedy: "this is a defect of the agent: nothing left; report it",
  });
}
