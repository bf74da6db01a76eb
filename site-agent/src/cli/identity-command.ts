import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { loadEnrolment } from "../enrolment.js";
import { type IdentityRotation, rotateIdentity, rotationTo } from "../rotate-identity.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

/** What the holders of governance keys need to put this site on the roster. */
export function addIdentity(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("identity")
    .description("the public key by which other hospitals know this site, for the federation's roster")
    .option("--home <dir>", homeHelp)
    .action(async (options: { home?: string }) => {
      const home = homeOf(options.home, surroundings);
      const { federation, siteId } = loadEnrolment(home);
      const { publicKey, fingerprint } = await IdentityKey.load(home.identity.identityKey);
      const key = formatPublicKey(publicKey);
      const replaces = rotationTo(home, key);
      outputOf(command, surroundings).result({ federation, siteId, key, fingerprint, replaces }, () => [
        ...fieldLines([
          ["site", `${siteId} of ${federation}`],
          ["key", key],
          ["fingerprint", fingerprint],
          ...(replaces === undefined ? [] : replacedFields(replaces)),
        ]),
        "",
        "Give site and key to the holders of the federation's governance keys, and let them read both back to you.",
      ]);
    });
  addRotate(command, surroundings);
  example(command, "consilium-agent identity", "consilium-agent identity --json | jq -r .key");
}

function addRotate(identity: Command, surroundings: Surroundings): void {
  const command = identity
    .command("rotate")
    .description(
      "make a new identity key in the place of one that is old, lost or known to others; stop the agent first",
    )
    .option("--home <dir>", homeHelp)
    .action(async (options: { home?: string }, own: Command) => {
      const home = homeOf(own.optsWithGlobals<{ home?: string }>().home ?? options.home, surroundings);
      const { siteId } = loadEnrolment(home);
      const rotation = await rotateIdentity(home, surroundings.clock);
      outputOf(command, surroundings).result({ siteId, ...rotation }, () => rotatedLines(siteId, rotation));
    });
  example(command, "consilium-agent identity rotate");
}

function replacedFields({ before, signature }: IdentityRotation): [string, string][] {
  return [
    ["replaces", before],
    ["signature", signature ?? "none: the old key was lost"],
  ];
}

function rotatedLines(siteId: string, rotation: IdentityRotation): string[] {
  const { key, signature } = rotation;
  const vouched = signature === undefined ? "--lost" : `--signature ${signature}`;
  return [
    ...fieldLines([["key", key], ...replacedFields(rotation)]),
    "",
    "The old key is gone. No plan is followed here until the roster names the new one:",
    "  1. Ask the coordinator's operator for a new invitation, and join with it in this home.",
    "  2. Read the key to the holders of the governance keys by telephone. One of them runs",
    `     consilium roster replace roster.json ${siteId} --key ${key} ${vouched}`,
    "     and enough of them sign; the operator publishes. The other sites approve it as they approve new sites.",
    "  3. Start the agent.",
  ];
}
