import { resolve } from "node:path";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import type { Command } from "commander";
import { rotateAuthority } from "../rotate-authority.js";
import { defaultHome } from "./profile.js";
import { example, outputOf } from "./session.js";
import type { Surroundings } from "./surroundings.js";

interface HomeOption {
  readonly home?: string;
}

/** What an operator does with the federation's certificate authority, on the coordinator's machine. */
export function addAuthorityCommands(group: Command, surroundings: Surroundings, homeHelp: string): void {
  addRotate(group.command("ca").description("the federation's certificate authority"), surroundings, homeHelp);
}

function addRotate(group: Command, surroundings: Surroundings, homeHelp: string): void {
  const rotate = group
    .command("rotate")
    .description("begin the change to a new certificate authority; the coordinator must be stopped meanwhile")
    .option("--home <dir>", homeHelp)
    .action(async (options: HomeOption) => {
      const home = resolve(options.home ?? defaultHome(surroundings));
      const endsMs = await rotateAuthority(home, surroundings.clock);
      const place = options.home === undefined ? "" : ` --home ${options.home}`;
      outputOf(rotate, surroundings).result({ home, bothUntilMs: endsMs }, () => [
        `a new authority issues from now on; the older one counts until ${formatInstant(endsMs)}`,
        `1. start the coordinator again:       consilium coordinator serve${place}`,
        `2. renew people's credentials:        consilium coordinator credentials renew${place}`,
        "   and hand the folders over; what they have now is refused after that time",
        "3. let the sites run: each follows when it renews its certificate; one that does not has to join again",
      ]);
    });
  example(rotate, "consilium coordinator ca rotate --home /var/lib/consilium");
}
