import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { homePaths, loadCoordinatorConfig } from "../config.js";
import { openBeside } from "../store/database.js";
import type { PersonRole } from "../store/person-store.js";
import { createPersonStore } from "../store/sqlite-person-store.js";
import { adoptCredentials } from "./adopt.js";
import { type IssuedCredentials, type Issuing, issueCredentials, renewCredentials, requirePerson } from "./issuing.js";
import { type PersonSummary, summariseCertificates } from "./person-list.js";

/**
 * What an operator does with people's credentials on the coordinator's machine, whether a coordinator runs in the home
 * or not; one that does follows within two seconds. All throw ConsiliumError "config-missing" where there is no
 * federation.
 */
export interface HomePlace {
  readonly home: string;
  readonly clock: Clock;
}

/** @param folder where they go; a folder of the home with the person's id unless it is given */
export async function issueAtHome(
  place: HomePlace,
  { id, role, folder }: { readonly id: string; readonly role: PersonRole; readonly folder: string | undefined },
): Promise<IssuedCredentials> {
  return withIssuing(place, (issuing) =>
    issueCredentials(issuing, { id, role, folder: folder ?? folderAtHome(place.home, id) }),
  );
}

/**
 * One person's, or those of everybody whose folder lies in the home.
 * @throws ConsiliumError "not-found" where that is nobody, or nobody has the id; "stale" where it was revoked
 */
export async function renewAtHome(
  place: HomePlace,
  { id, folder }: { readonly id: string | undefined; readonly folder: string | undefined },
): Promise<IssuedCredentials[]> {
  return withIssuing(place, async (issuing) => {
    const ids = id === undefined ? idsAtHome(issuing, place.home) : [id];
    const renewed: IssuedCredentials[] = [];
    for (const each of ids) {
      const target = folder ?? folderAtHome(place.home, each);
      renewed.push(await renewCredentials(issuing, { id: each, folder: target }));
    }
    return renewed;
  });
}

export async function listAtHome(place: HomePlace): Promise<PersonSummary[]> {
  return withIssuing(place, ({ store, clock }) => summariseCertificates(store.list(), clock.now()));
}

/**
 * Ends all certificates of a person. Doing it again changes nothing.
 * @throws ConsiliumError "not-found", or "policy-refused" for the only operator who is left
 */
export async function revokeAtHome(place: HomePlace, id: string): Promise<PersonSummary> {
  return withIssuing(place, (issuing) => {
    requirePerson(issuing, id);
    if (issuing.store.revoke(id, issuing.clock.now()) === "last-operator") {
      throw new ConsiliumError("policy-refused", `${id} is the only operator whose credentials count`, {
        remedy: "make some for another one first: 'consilium coordinator credentials issue <id> --role operator'",
      });
    }
    return requirePerson(issuing, id);
  });
}

async function withIssuing<T>({ home, clock }: HomePlace, work: (issuing: Issuing) => T | Promise<T>): Promise<T> {
  const config = loadCoordinatorConfig(home);
  const paths = homePaths(home);
  const authority = await loadAuthority(paths.authority, { clock });
  const database = openBeside(paths, clock.now());
  try {
    const store = createPersonStore(database);
    adoptCredentials(authority, store, [paths.operator, paths.researcher]);
    return await work({ authority, config, store, clock });
  } finally {
    database.close();
  }
}

function idsAtHome({ store, clock }: Issuing, home: string): string[] {
  const ids = summariseCertificates(store.list(), clock.now())
    .filter(({ id, status }) => status !== "revoked" && existsSync(join(folderAtHome(home, id), "profile.yaml")))
    .map(({ id }) => id);
  if (ids.length > 0) return ids;
  throw new ConsiliumError("not-found", `no folder of ${homePaths(home).credentials} has credentials to renew`, {
    remedy: "name whose to renew; 'consilium coordinator credentials list' shows everybody",
  });
}

function folderAtHome(home: string, id: string): string {
  return join(homePaths(home).credentials, id);
}
