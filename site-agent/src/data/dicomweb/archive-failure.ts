import { ConsiliumError } from "@consilium/shared/errors.js";

/** One request that failed. Holds nothing of the request, whose address names a patient's study. */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure";
  readonly kind: "transport" | "status" | "content" | "too-large";
  /** Of the answer, where there was one. */
  readonly status: number | undefined;

  constructor(kind: RequestFailure["kind"], message: string, status?: number) {
    super(message);
    this.kind = kind;
    this.status = status;
  }

  /** The same request may succeed a little later. */
  get mayPass(): boolean {
    if (this.kind === "transport") return true;
    return this.kind === "status" && (this.status === 408 || this.status === 429 || this.status! >= 500);
  }

  get isRefusal(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** The archive itself cannot be used, whatever is asked for. */
  get concernsArchive(): boolean {
    return this.mayPass || this.isRefusal;
  }
}

/** @param host of the archive */
export function archiveFailure(host: string, failure: RequestFailure): ConsiliumError {
  const remedy = failure.isRefusal
    ? "check the contents of `dicomweb.authorizationFile` and what the archive allows this account"
    : failure.kind === "too-large"
      ? "ask for less at once, with `dicomweb.pageSize`, dates or a part of the body"
      : "check `dicomweb.url`, the network and, for https, `dicomweb.authorityFile`; what was fetched before is kept";
  return new ConsiliumError("input-unreadable", `image archive ${host}: ${failure.message}`, { remedy });
}
