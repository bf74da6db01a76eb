import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isMissing } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { parseSignedRoster, type SignedRoster, signedRosterText } from "@consilium/shared/roster/signed-roster.js";
import { storageError, writeFileDurably } from "../durable-file.js";

/**
 * The roster that a site follows, and the newest verified one that waits for a person. Both outlive a power loss and are
 * read anew each time, since the agent and a command may write them; a version never gives way to an older one.
 */
export class RosterFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws ConsiliumError "storage" for a damaged file: taking it for none would let an old roster in. */
  get pinned(): SignedRoster | undefined {
    return this.#read("pinned.json");
  }

  /** Undefined where nothing is newer than the pinned one. */
  get waiting(): SignedRoster | undefined {
    const waiting = this.#read("waiting.json");
    const { pinned } = this;
    return waiting !== undefined && waiting.roster.version > (pinned?.roster.version ?? 0) ? waiting : undefined;
  }

  /** On the disk when this returns. @throws ConsiliumError "storage", or "roster-refused" for an older version */
  pin(signed: SignedRoster): void {
    const { pinned } = this;
    // site-check: pinned-roster-monotone
    if (pinned !== undefined && signed.roster.version <= pinned.roster.version) throw older(signed, pinned);
    this.#write("pinned.json", signed);
  }

  /** On the disk when this returns. */
  keepWaiting(signed: SignedRoster): void {
    this.#write("waiting.json", signed);
  }

  #read(name: string): SignedRoster | undefined {
    const path = join(this.#directory, name);
    let text: Buffer;
    try {
      text = readFileSync(path);
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw damaged(path, cause);
    }
    try {
      return parseSignedRoster(text);
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  #write(name: string, signed: SignedRoster): void {
    const path = join(this.#directory, name);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileDurably(path, signedRosterText(signed));
    } catch (cause) {
      throw storageError(path, cause);
    }
  }
}

function older({ roster }: SignedRoster, pinned: SignedRoster): ConsiliumError {
  const message = `version ${roster.version} of the roster is not newer than ${pinned.roster.version}, which this site follows`;
  return new ConsiliumError("roster-refused", message, {
    remedy: "fetch the newest with 'consilium-agent roster fetch'",
  });
}

function damaged(path: string, cause: unknown): ConsiliumError {
  return new ConsiliumError("storage", `${path} cannot be read as a roster`, {
    remedy: "restore it from a backup, or run as the agent's user; without it this site follows no plan",
    cause,
  });
}
