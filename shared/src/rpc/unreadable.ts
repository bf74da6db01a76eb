import type { ServiceDefinition } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";

/** Stands for bytes that are not the message they should be. */
const unreadable = Symbol("unreadable");

/**
 * gRPC answers such bytes by itself, as a failure of the server, where nothing counts or logs it. With this definition
 * they reach the handler's wrapper, which refuses them like any other bad input.
 */
export function deliveringUnreadable(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch {
        return unreadable;
      }
    };
    return [name, { ...method, requestDeserialize }] as const;
  });
  return Object.fromEntries(methods);
}

/** @throws ConsiliumError "input-unreadable" */
export function requireReadable<Message>(message: Message): Message {
  const received: unknown = message;
  if (received !== unreadable) return message;
  throw new ConsiliumError("input-unreadable", "the message is not one that this method takes", {
    remedy: "check that both sides have the same version",
  });
}
