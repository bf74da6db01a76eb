import { ConsiliumError } from "@consilium/shared/errors.js";
import { rosterLines } from "@consilium/shared/roster/roster-lines.js";
import { parseSignedRoster, signedRosterBytes } from "@consilium/shared/roster/signed-roster.js";
import type { Command } from "commander";
import { readRosterFile, requireNew, writeRosterFile } from "./roster-files.js";
import { example, withCoordinator, withProfile } from "./session.js";
import type { Surroundings } from "./surroundings.js";

/** The way of rosters between the people who sign them and the coordinator, which only hands them on. */

export function addPublishRoster(group: Command, surroundings: Surroundings): void {
  const command = withProfile(group.command("publish"))
    .description("hand a signed roster to the coordinator, which serves it to the sites")
    .argument("<file>", "the roster's file")
    .action((path: string) =>
      withCoordinator(command, surroundings, async ({ admin, output }) => {
        const summary = await admin.publishRoster(signedRosterBytes(readRosterFile(path)));
        const { version, digest, activeSites, signatures } = summary;
        output.result(summary, () => [
          `version ${version} is published: ${counted(activeSites, "site")}, ${counted(signatures, "signature")}, SHA-256 ${digest}`,
          "Each site follows it once its policy's governance keys have signed and a person there has approved additions:",
          "  consilium-agent roster approve",
        ]);
      }),
    );
  example(command, "consilium roster publish roster.json");
}

export function addFetchRoster(group: Command, surroundings: Surroundings): void {
  const command = withProfile(group.command("fetch"))
    .description("write the newest published roster to a file, to begin the next version from")
    .argument("<file>", "where it goes")
    .action((path: string) =>
      withCoordinator(command, surroundings, async ({ admin, output }) => {
        requireNew(path);
        const document = await admin.fetchRoster();
        if (document.length === 0) throw nonePublished();
        const signed = parseSignedRoster(document);
        await writeRosterFile(path, signed);
        output.result(signed, () => rosterLines(signed));
      }),
    );
  example(command, "consilium roster fetch roster.json");
}

function nonePublished(): ConsiliumError {
  return new ConsiliumError("not-found", "the coordinator has no roster yet", {
    remedy: "begin one with 'consilium roster init', have it signed, and hand it over with 'consilium roster publish'",
  });
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
