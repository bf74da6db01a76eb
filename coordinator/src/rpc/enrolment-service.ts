import {
  type EnrolmentServiceServer,
  EnrolmentServiceService,
  type EnrolReply,
  type EnrolRequest,
} from "@consilium/shared/rpc/gen/federation.js";
import { type CallHooks, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import type { RpcService } from "@consilium/shared/rpc/server.js";
import type { Enrolment } from "../sites/enrolment.js";
import { networkOf } from "./network-of.js";

export interface EnrolmentServiceOptions {
  readonly enrolment: Enrolment;
  readonly federation: string;
  /** Every authority that sites must trust, in PEM. */
  readonly trustPem: () => string;
  /** Raw Ed25519 key, 32 bytes. */
  readonly planPublicKey: Uint8Array;
}

export function enrolmentService(options: EnrolmentServiceOptions, hooks: CallHooks): RpcService {
  const { enrolment, federation, trustPem } = options;
  const implementation: EnrolmentServiceServer = {
    enrol: wrapUnary<EnrolRequest, EnrolReply>(async (request, context) => {
      const address = networkOf(context.remoteAddress);
      const certificatePem = await enrolment.enrol({ ...request, address });
      return { certificatePem, caPem: trustPem(), federation, planPublicKey: Buffer.from(options.planPublicKey) };
    }, hooks),
  };
  return { definition: EnrolmentServiceService, implementation };
}
