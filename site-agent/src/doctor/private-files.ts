import { statSync } from "node:fs";
import { join } from "node:path";
import { type Check, ok, warning } from "./finding.js";

/** The bits by which group and others may read, write or run a file. */
const notOwner = 0o077;

/** Whether the keys in this home are its owner's alone. Windows keeps no such modes, and is not asked. */
export const checkPrivateFiles: Check = ({ home }) => {
  const { directory, identityKey, request } = home.identity;
  const paths = [identityKey, join(directory, "key.pem"), request, home.nameKey];
  const open = process.platform === "win32" ? [] : paths.filter((path) => (modeOf(path) & notOwner) !== 0);
  if (open.length === 0) return ok("only their owner may read them");
  return warning(
    `others on this machine may read ${open.join(", ")}`,
    `chmod 600 ${open.join(" ")}; where somebody may have read a key, have new ones issued`,
  );
};

/** Nothing to open where there is no file. */
function modeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
}
