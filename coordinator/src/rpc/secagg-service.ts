import {
  type SecAggServiceServer,
  SecAggServiceService,
  type SiteMessage,
  type StageOutcome,
  type UploadPart,
} from "@consilium/shared/rpc/gen/secagg.js";
import { type CallHooks, wrapClientStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import type { RpcService } from "@consilium/shared/rpc/server.js";
import type { Submissions } from "../round/submissions.js";
import type { RunStore } from "../store/run-store.js";
import { requireKey, stageMessage } from "./codec.js";
import { requireOwnSite } from "./site-identity.js";
import { stageOutcome } from "./stage-outcome.js";
import type { UploadAdmission } from "./upload-admission.js";
import { receiveUpload } from "./upload-call.js";

export interface SecAggOptions {
  readonly submissions: Submissions;
  readonly admission: UploadAdmission;
  readonly store: RunStore;
}

export function secAggService({ submissions, admission, store }: SecAggOptions, hooks: CallHooks): RpcService {
  const implementation: SecAggServiceServer = {
    exchange: wrapUnary<SiteMessage, StageOutcome>(async (message, context) => {
      const siteId = requireOwnSite(context, message.siteId);
      const key = requireKey(message.key);
      const outcome = await submissions.submit({ key, siteId, ...stageMessage(message) }, context.signal);
      return stageOutcome(store, { key, siteId }, outcome);
    }, hooks),
    upload: wrapClientStream<UploadPart, StageOutcome>(async (parts, context) => {
      const { outcome, ...call } = await receiveUpload({ submissions, admission }, parts, context);
      return stageOutcome(store, call, outcome);
    }, hooks),
  };
  return { definition: SecAggServiceService, implementation };
}
