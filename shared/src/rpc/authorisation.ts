import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from "@grpc/grpc-js";
import type { Clock } from "../clock.js";
import { asConsiliumError, ConsiliumError } from "../errors.js";
import { assertValidAt } from "../identity/certificate-check.js";
import type { Role } from "../identity/peer-identity.js";
import { type Caller, callerOf } from "./caller.js";
import type { CallHooks } from "./serve-call.js";
import { toStatus } from "./status.js";

/** Full method path, such as "/consilium.v1.AdminService/ListRuns", to the roles that may call it. Absent means no one. */
export type AccessTable = Readonly<Record<string, readonly Role[]>>;

export interface Authorisation {
  readonly federation: string;
  readonly table: AccessTable;
  /** Asked on every call, since a connection outlives the revocation of its certificate. */
  isRevoked(caller: Caller): boolean;
  readonly clock: Clock;
}

/** Throws config-invalid when a method has no entry, or an entry has no method: both are mistakes in the table. */
export function assertComplete(table: AccessTable, methodPaths: readonly string[]): void {
  const missing = methodPaths.filter((path) => !Object.hasOwn(table, path));
  const unknown = Object.keys(table).filter((path) => !methodPaths.includes(path));
  if (missing.length === 0 && unknown.length === 0) return;
  const parts = [
    ...missing.map((path) => `${path} has no entry`),
    ...unknown.map((path) => `${path} is not a method of this server`),
  ];
  throw new ConsiliumError("config-invalid", `The authorisation table is wrong: ${parts.join(", ")}.`, {
    remedy: "Give every served method its roles; an empty list closes it for everyone.",
  });
}

/** Throws certificate-refused or not-authorised. Object checks, such as a site's own id, stay with the service. */
export function assertMayCall(caller: Caller | undefined, path: string, rules: Authorisation): Caller {
  if (caller === undefined)
    throw new ConsiliumError("certificate-refused", "The connection has no client certificate.");
  assertValidAt(caller, rules.clock.now());
  const { federation, role, id } = caller.identity;
  if (federation !== rules.federation) {
    throw new ConsiliumError("certificate-refused", `The certificate is for federation ${federation}, not this one.`);
  }
  if (rules.isRevoked(caller)) {
    throw new ConsiliumError("certificate-refused", `The certificate of ${role} ${id} was revoked.`, {
      remedy: `Ask the coordinator's operator for ${role === "site" ? "a new invitation" : "new credentials"}.`,
    });
  }
  const allowed = Object.hasOwn(rules.table, path) ? rules.table[path] : undefined;
  if (!allowed?.includes(role)) {
    throw shutOut(role, path, allowed ?? []);
  }
  return caller;
}

/** Names what was asked for in words: the path, which the caller chose, only where the table has it. */
function shutOut(role: Role, path: string, allowed: readonly Role[]): ConsiliumError {
  if (allowed.length === 0) return new ConsiliumError("not-authorised", "Nobody may do this.");
  const words = path.replace(/^.*\//, "").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const may = allowed.map(called).join(" or ");
  return new ConsiliumError("not-authorised", `Only ${may} may do this (${words.trim()}), not ${called(role)}.`, {
    remedy: allowed.includes("site")
      ? "The agent of a site asks for this."
      : `Use the credentials of ${may} (--profile).`,
  });
}

const called = (role: Role): string => `${role === "operator" ? "an" : "a"} ${role}`;

/** Calls in progress, so that revoking a certificate also ends what it already started. */
export class LiveCalls {
  readonly #calls = new Map<ServerInterceptingCallInterface, Caller>();

  add(call: ServerInterceptingCallInterface, caller: Caller): void {
    this.#calls.set(call, caller);
  }

  remove(call: ServerInterceptingCallInterface): void {
    this.#calls.delete(call);
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Ends the calls of matching callers as unauthenticated; returns how many. */
  cancel(matches: (caller: Caller) => boolean): number {
    const ended = [...this.#calls].filter(([, caller]) => matches(caller));
    for (const [call, { identity }] of ended) {
      this.#calls.delete(call);
      const reason = `The certificate of ${identity.role} ${identity.id} was revoked.`;
      call.sendStatus(toStatus(new ConsiliumError("certificate-refused", reason)));
    }
    return ended.length;
  }
}

/** Runs before any handler. What it refuses never reaches one. */
export function authorisationInterceptor(rules: Authorisation, live: LiveCalls, hooks: CallHooks): ServerInterceptor {
  return (method, call) => {
    try {
      const caller = assertMayCall(callerOf(call.getAuthContext()), method.path, rules);
      live.add(call, caller);
    } catch (thrown) {
      const { code, message } = asConsiliumError(thrown);
      hooks.onRejected?.(method.path, code);
      hooks.log.warn("rpc.refused", { method: method.path, code, reason: message, from: call.getPeer() });
      call.sendStatus(toStatus(thrown));
      return new ServerInterceptingCall(call);
    }
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onCancel: () => live.remove(call) }),
    });
  };
}
