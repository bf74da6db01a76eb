import { resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type HomePlace, issueAtHome, listAtHome, renewAtHome, revokeAtHome } from "../people/home-credentials.js";
import type { IssuedCredentials } from "../people/issuing.js";
import type { PersonSummary } from "../people/person-list.js";
import { type PersonRole, personRoles } from "../store/person-store.js";
import { defaultHome } from "./profile.js";
import { example, outputOf } from "./session.js";
import type { Surroundings } from "./surroundings.js";

interface HomeOption {
  readonly home?: string;
}

interface OutOption extends HomeOption {
  readonly out?: string;
}

const outHelp = "folder to write into (default: one with the id, in the home's credentials)";

/** Who may speak to the coordinator as a person: on its machine, whether it runs or not. */
export function addCredentialsCommands(parent: Command, surroundings: Surroundings, homeHelp: string): void {
  const group = parent.command("credentials").description("of operators and researchers");
  example(group, "consilium coordinator credentials list");
  addIssue(group, surroundings, homeHelp);
  addList(group, surroundings, homeHelp);
  addRenew(group, surroundings, homeHelp);
  addRevoke(group, surroundings, homeHelp);
}

const placeOf = ({ home }: HomeOption, surroundings: Surroundings): HomePlace => ({
  home: resolve(home ?? defaultHome(surroundings)),
  clock: surroundings.clock,
});

const folderOf = ({ out }: OutOption) => (out === undefined ? undefined : resolve(out));

function addIssue(group: Command, surroundings: Surroundings, homeHelp: string): void {
  const issue = group
    .command("issue")
    .description("make credentials for another person, or for one whose credentials were revoked or have expired")
    .argument("<id>", "who it is, such as ada; never give an id to someone else", personId)
    .addOption(new Option("--role <role>", "what the person may do").choices(personRoles).makeOptionMandatory())
    .option("--out <dir>", outHelp)
    .option("--home <dir>", homeHelp)
    .action(async (id: string, options: OutOption & { readonly role: PersonRole }) => {
      const request = { id, role: options.role, folder: folderOf(options) };
      const issued = await issueAtHome(placeOf(options, surroundings), request);
      outputOf(issue, surroundings).result(issued, () => [
        `credentials of ${issued.role} ${id}: ${issued.folder}`,
        `hand the folder over on a way that you trust; it is good until ${formatInstant(issued.expiresAtMs)}`,
      ]);
    });
  example(issue, "consilium coordinator credentials issue ada --role researcher --out ada");
}

function addList(group: Command, surroundings: Surroundings, homeHelp: string): void {
  const list = group
    .command("list")
    .description("show everybody who was given credentials, and until when they are good")
    .option("--home <dir>", homeHelp)
    .action(async (options: HomeOption) => {
      const people = await listAtHome(placeOf(options, surroundings));
      outputOf(list, surroundings).result({ people }, () => personTable(people));
    });
  example(list, "consilium coordinator credentials list --home /var/lib/consilium");
}

function addRenew(group: Command, surroundings: Surroundings, homeHelp: string): void {
  const renew = group
    .command("renew")
    .description("new keys and certificates in the place of the old ones, which stay good until they expire")
    .argument("[id]", "whose (default: everybody's whose folder lies in the home's credentials)", personId)
    .option("--out <dir>", outHelp)
    .option("--home <dir>", homeHelp)
    .action(async (id: string | undefined, options: OutOption) => {
      if (id === undefined && options.out !== undefined) {
        throw new ConsiliumError("config-invalid", "--out takes the folder of one person", {
          remedy: "name the id too",
        });
      }
      const place = placeOf(options, surroundings);
      const credentials = await renewAtHome(place, { id, folder: folderOf(options) });
      outputOf(renew, surroundings).result({ credentials }, () => credentials.map(renewedLine));
    });
  example(
    renew,
    "consilium coordinator credentials renew --home /var/lib/consilium",
    "consilium coordinator credentials renew ada --out ada",
  );
}

function addRevoke(group: Command, surroundings: Surroundings, homeHelp: string): void {
  const revoke = group
    .command("revoke")
    .description("end a person's credentials; a coordinator that runs refuses them at once and cuts their connections")
    .argument("<id>", "whose", personId)
    .option("--home <dir>", homeHelp)
    .action(async (id: string, options: HomeOption) => {
      const person = await revokeAtHome(placeOf(options, surroundings), id);
      outputOf(revoke, surroundings).result(person, () => `the credentials of ${person.role} ${id} are revoked`);
    });
  example(revoke, "consilium coordinator credentials revoke ada --home /var/lib/consilium");
}

function renewedLine({ id, role, folder, expiresAtMs }: IssuedCredentials): string {
  return `credentials of ${role} ${id}: ${folder}, good until ${formatInstant(expiresAtMs)}`;
}

function personTable(people: readonly PersonSummary[]): string[] {
  if (people.length === 0) return ["nobody has credentials; 'consilium coordinator credentials issue' makes some"];
  return tableLines(
    [{ title: "ID" }, { title: "ROLE" }, { title: "STATUS" }, { title: "UNTIL" }, { title: "CERTIFICATES" }],
    people.map(({ id, role, status, expiresAtMs, certificates }) => [
      id,
      role,
      status,
      formatInstant(expiresAtMs),
      String(certificates),
    ]),
  );
}

function personId(text: string): string {
  if (/^[a-z0-9-]{1,63}$/.test(text)) return text;
  throw new InvalidArgumentError("Use lower-case letters, digits and hyphens, at most 63.");
}
