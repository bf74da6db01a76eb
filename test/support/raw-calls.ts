import type { RpcChannel } from "@consilium/shared/rpc/channel.js";
import { Client, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";

/** A method of a generated service, without its message types. */
export type RawMethod = Pick<MethodDefinition<never, never>, "path" | "requestStream" | "responseStream">;

export interface RawAnswer {
  /** gRPC status; 0 is OK. */
  readonly code: number;
  readonly details: string;
}

const asTheyAre = (bytes: Buffer): Buffer => bytes;
const timeoutMs = 5000;

/** Sends these bytes as the method's only message. A stream that goes on is ended after its first message, as OK. */
export function callRaw(channel: RpcChannel, method: RawMethod, bytes: Buffer): Promise<RawAnswer> {
  const client = channel.client(Client);
  const options = { deadline: Date.now() + timeoutMs };
  return new Promise((resolve) => {
    const answered = (error: ServiceError | null) =>
      resolve(error === null ? { code: 0, details: "" } : { code: error.code, details: error.details });
    if (method.responseStream) {
      const call = client.makeServerStreamRequest(method.path, asTheyAre, asTheyAre, bytes, options);
      call.on("error", answered);
      call.on("end", () => answered(null));
      call.on("data", () => {
        answered(null);
        call.cancel();
      });
    } else if (method.requestStream) {
      const call = client.makeClientStreamRequest(method.path, asTheyAre, asTheyAre, options, answered);
      call.write(bytes);
      call.end();
    } else {
      client.makeUnaryRequest(method.path, asTheyAre, asTheyAre, bytes, options, answered);
    }
  });
}
