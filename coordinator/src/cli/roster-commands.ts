import { siteIdSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { formatPublicKey, publicKeyText } from "@consilium/shared/identity/public-key-text.js";
import { firstRoster, withKeyReplaced, withoutSite, withSite } from "@consilium/shared/roster/edit-roster.js";
import { rosterDigest } from "@consilium/shared/roster/roster.js";
import { rosterLines } from "@consilium/shared/roster/roster-lines.js";
import { type SignedRoster, withSignature } from "@consilium/shared/roster/signed-roster.js";
import { type Command, InvalidArgumentError } from "commander";
import {
  makeGovernanceKey,
  readRosterFile,
  requireNew,
  requireSignaturesHold,
  writeRosterFile,
} from "./roster-files.js";
import { addFetchRoster, addPublishRoster } from "./roster-publishing.js";
import { example, outputOf, wholeNumber } from "./session.js";
import type { Surroundings } from "./surroundings.js";

/** What holders of governance keys do, on machines of their own; only fetch and publish speak to the coordinator. */
export function addRosterCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("roster").description("who is a hospital of the federation, signed offline");
  example(
    group,
    "consilium roster key ada.pem",
    "consilium roster init roster.json --federation skin",
    "consilium roster add roster.json hospital-a --organisation 'Hospital A' --key ed25519:9f2c…",
    "consilium roster replace roster.json hospital-a --key ed25519:41d0… --signature 8c1e…",
    "consilium roster sign roster.json --with ada.pem",
    "consilium roster publish roster.json",
  );
  for (const add of [addKey, addInit, addAdd, addReplace, addRemove, addSign, addShow]) add(group, surroundings);
  addPublishRoster(group, surroundings);
  addFetchRoster(group, surroundings);
}

const fileHelp = "the roster's file";
const dayMs = 86_400_000;
const days = wholeNumber({ least: 1, most: 3650 });

interface Validity {
  readonly validDays: number;
}

function timesFrom({ clock }: Surroundings, { validDays }: Validity) {
  const nowMs = clock.now();
  return { nowMs, validUntilMs: nowMs + validDays * dayMs };
}

function withValidity(command: Command): Command {
  return command.option("--valid-days <days>", "days until sites refuse it", days, 365);
}

function addKey(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("key")
    .description("make a governance key: a private file to keep offline, and the public part that sites pin")
    .argument("<file>", "where the private key goes")
    .action(async (path: string) => {
      const publicKey = formatPublicKey((await makeGovernanceKey(path)).publicKey);
      outputOf(command, surroundings).result({ path, publicKey }, () => [
        publicKey,
        "",
        `${path} signs rosters: keep it off the coordinator, and a copy in a safe. Each site pins the line above.`,
      ]);
    });
  example(command, "consilium roster key ada.pem");
}

function addInit(group: Command, surroundings: Surroundings): void {
  const floor = (least: number) => wholeNumber({ least, most: 1000 });
  const command = withValidity(group.command("init"))
    .description("begin a roster without sites")
    .argument("<file>", "where it goes")
    .requiredOption("--federation <name>", "name of the federation, as 'coordinator init' was given it")
    .option("--min-cohort <sites>", "fewest sites in a sum of any run", floor(2), 3)
    .option("--max-colluders <sites>", "colluding sites that every run must withstand", floor(0), 0)
    .action(async (path: string, options: Validity & InitOptions) => {
      requireNew(path);
      const { federation, minCohort, maxColluders } = options;
      const roster = firstRoster(federation, { minCohort, maxColluders }, timesFrom(surroundings, options));
      await writeRosterFile(path, roster);
      say(command, surroundings, roster);
    });
  example(command, "consilium roster init roster.json --federation skin --min-cohort 5 --max-colluders 1");
}

interface InitOptions {
  readonly federation: string;
  readonly minCohort: number;
  readonly maxColluders: number;
}

function addAdd(group: Command, surroundings: Surroundings): void {
  const command = withValidity(group.command("add"))
    .description("add a site, or give one another name; of a signed roster this makes the next version")
    .argument("<file>", fileHelp)
    .argument("<id>", "id of the site, such as hospital-a", siteId)
    .requiredOption("--key <key>", "what 'consilium-agent identity' prints at the site", identityKey)
    .requiredOption("--organisation <name>", "who runs it")
    .action(async (path: string, id: string, options: Validity & { key: string; organisation: string }) => {
      const { key: identityKey, organisation } = options;
      const site = { siteId: id, organisation, identityKey };
      await edit(command, surroundings, {
        path,
        change: (roster) => withSite(roster, site, timesFrom(surroundings, options)),
      });
    });
  example(command, "consilium roster add roster.json hospital-a --organisation 'Hospital A' --key ed25519:9f2c…");
}

interface ReplaceOptions extends Validity {
  readonly key: string;
  readonly signature?: string;
  readonly lost?: boolean;
}

function addReplace(group: Command, surroundings: Surroundings): void {
  const command = withValidity(group.command("replace"))
    .description("give a site the new key that it made with 'consilium-agent identity rotate'")
    .argument("<file>", fileHelp)
    .argument("<id>", "id of the site", siteId)
    .requiredOption("--key <key>", "the site's new key, as 'consilium-agent identity' prints it", identityKey)
    .option("--signature <hex>", "the old key's signature under the new one, from the same place", rotationSignature)
    .option("--lost", "the old key is lost and could not sign: you know the new one by telephone")
    .action(async (path: string, id: string, options: ReplaceOptions) => {
      const { key, signature, lost = false } = options;
      if ((signature !== undefined) === lost) throw unsignedKey(id);
      const replaced = { siteId: id, identityKey: key, ...(signature === undefined ? {} : { signature }) };
      await edit(command, surroundings, {
        path,
        change: (roster) => withKeyReplaced(roster, replaced, timesFrom(surroundings, options)),
      });
    });
  example(command, "consilium roster replace roster.json hospital-a --key ed25519:41d0… --signature 8c1e…");
}

function unsignedKey(id: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `whether the old key of ${id} vouches for the new one must be said`, {
    remedy: "give --signature as the site prints it, or --lost where the old key is gone; not both",
  });
}

function rotationSignature(text: string): string {
  if (/^[0-9a-f]{128}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 128 lower-case hex digits.");
}

function addRemove(group: Command, surroundings: Surroundings): void {
  const command = withValidity(group.command("remove"))
    .description("remove a site; it stays listed, and comes back only if it is added again")
    .argument("<file>", fileHelp)
    .argument("<id>", "id of the site", siteId)
    .action(async (path: string, id: string, options: Validity) => {
      await edit(command, surroundings, {
        path,
        change: (roster) => withoutSite(roster, id, timesFrom(surroundings, options)),
      });
    });
  example(command, "consilium roster remove roster.json hospital-a");
}

function addSign(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("sign")
    .description("sign the roster as it stands, and show what was signed")
    .argument("<file>", fileHelp)
    .requiredOption("--with <key>", "file of the governance key")
    .action(async (path: string, options: { with: string }) => {
      const key = await IdentityKey.load(options.with, noGovernanceKey);
      const change = (roster: SignedRoster) => {
        const signed = withSignature(roster, key);
        requireSignaturesHold(path, signed);
        return signed;
      };
      await edit(command, surroundings, { path, change });
    });
  example(command, "consilium roster sign roster.json --with ada.pem");
}

const noGovernanceKey = {
  missing: "name the private key of its holder; 'consilium roster key FILE' makes one",
  damaged: "name the private key of its holder, or take the copy that is kept in a safe",
};

function addShow(group: Command, surroundings: Surroundings): void {
  const command = group
    .command("show")
    .description("sites, floors, validity and who has signed")
    .argument("<file>", fileHelp)
    .action((path: string) => {
      const signed = readRosterFile(path);
      say(command, surroundings, signed);
      requireSignaturesHold(path, signed);
    });
  example(command, "consilium roster show roster.json");
}

interface Edit {
  readonly path: string;
  readonly change: (roster: SignedRoster) => SignedRoster;
}

async function edit(command: Command, surroundings: Surroundings, { path, change }: Edit): Promise<void> {
  const changed = change(readRosterFile(path));
  await writeRosterFile(path, changed);
  say(command, surroundings, changed);
}

function say(command: Command, surroundings: Surroundings, signed: SignedRoster): void {
  const document = { digest: rosterDigest(signed.roster), ...signed };
  outputOf(command, surroundings).result(document, () => rosterLines(signed));
}

function siteId(text: string): string {
  const parsed = siteIdSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(parsed.error.issues[0]!.message);
}

function identityKey(text: string): string {
  const parsed = publicKeyText.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It ${parsed.error.issues[0]!.message}.`);
}
