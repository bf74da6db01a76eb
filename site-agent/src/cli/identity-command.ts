import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { fieldLines } from "@consilium/shared/terminal/table.js";
import type { Command } from "commander";
import { loadEnrolment } from "../enrolment.js";
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
      outputOf(command, surroundings).result({ federation, siteId, key, fingerprint }, () => [
        ...fieldLines([
          ["site", `${siteId} of ${federation}`],
          ["key", key],
          ["fingerprint", fingerprint],
        ]),
        "",
        "Give site and key to the holders of the federation's governance keys, and let them read both back to you.",
      ]);
    });
  example(command, "consilium-agent identity", "consilium-agent identity --json | jq -r .key");
}
