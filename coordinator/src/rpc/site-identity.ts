import { ConsiliumError } from "@consilium/shared/errors.js";
import type { CallContext } from "@consilium/shared/rpc/serve-call.js";

/**
 * The caller's own id. Identity comes from the certificate alone; what the message says must be the same.
 * @throws ConsiliumError "not-authorised"
 */
export function requireOwnSite(context: CallContext, namedSite: string): string {
  const { role, id } = context.identity;
  if (role === "site" && id === namedSite) return id;
  throw new ConsiliumError(
    "not-authorised",
    `${role} ${id} cannot speak for site ${JSON.stringify(namedSite.slice(0, 63))}`,
    {
      remedy: "use the certificate of that site",
    },
  );
}
