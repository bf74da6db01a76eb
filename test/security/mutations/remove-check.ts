import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findSiteChecks, repository, withoutCheck } from "./site-checks.js";

/** Names the check that tests run without. Read by the tests' configuration only: no program knows of it. */
export const removedCheckVariable = "CONSILIUM_TEST_WITHOUT_CHECK";

/** For Vite: hands out the source that holds the named check without it. @throws Error when there is no such check */
export function removeCheck(name: string) {
  const check = findSiteChecks().find((candidate) => candidate.name === name);
  if (check === undefined) throw new Error(`there is no site check called ${name}`);
  const path = join(repository, check.path);
  return {
    name: "remove-site-check",
    enforce: "pre" as const,
    load: (id: string) => (id.split("?")[0] === path ? withoutCheck(readFileSync(path, "utf8"), check) : undefined),
  };
}
