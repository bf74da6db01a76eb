import { siteIdSchema } from "@consilium/shared/config/run-config.js";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import { type Command, InvalidArgumentError } from "commander";
import { siteTable } from "./run-lines.js";
import { example, wholeNumber, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";

export function addSiteCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("site").description("invite, list and revoke sites");
  example(group, "consilium site list");
  addInvite(group, surroundings);
  addList(group, surroundings);
  addRevoke(group, surroundings);
}

/** As the run files name sites; the coordinator checks again. */
function siteId(text: string): string {
  const parsed = siteIdSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(parsed.error.issues[0]!.message);
}

function addInvite(group: Command, surroundings: Surroundings): void {
  const invite = withProfile(group.command("invite"))
    .description("make a one-time invitation for a site; it is shown once")
    .argument("<id>", "id of the site, such as hospital-a", siteId)
    .option("--valid-hours <hours>", "hours until the invitation expires", wholeNumber({ least: 1, most: 72 }), 72)
    .action((id: string, { validHours }: { validHours: number }) =>
      withCoordinator(invite, surroundings, async ({ admin, output }) => {
        const invitation = await admin.inviteSite({ siteId: id, validHours });
        const joinCommand = `consilium-agent join ${invitation.token}`;
        output.result({ ...invitation, joinCommand }, () => [
          invitation.token,
          "",
          `Hand this to the administrator of ${id} over a channel you trust; it works once, until ${formatInstant(invitation.expiresAtMs)}:`,
          `  ${joinCommand}`,
        ]);
      }),
    );
  example(invite, "consilium site invite hospital-a --valid-hours 24");
}

function addList(group: Command, surroundings: Surroundings): void {
  const list = withProfile(group.command("list"))
    .description("show every site, whether it is attached, and until when its certificate is valid")
    .action(() =>
      withCoordinator(list, surroundings, async ({ admin, output }) => {
        const sites = await admin.listSites();
        output.result({ sites }, () => siteTable(sites, surroundings.clock.now()));
      }),
    );
  example(list, "consilium site list --json | jq -r '.sites[] | select(.attached) | .siteId'");
}

function addRevoke(group: Command, surroundings: Surroundings): void {
  const revoke = withProfile(group.command("revoke"))
    .description("end a site's membership: its certificate is refused from now on")
    .argument("<id>", "id of the site", siteId)
    .action((id: string) =>
      withCoordinator(revoke, surroundings, async ({ admin, output }) => {
        const site = await admin.revokeSite(id);
        output.result(site, () => `site ${site.siteId} is ${site.status}; a new invitation lets it join again`);
      }),
    );
  example(revoke, "consilium site revoke hospital-a");
}
