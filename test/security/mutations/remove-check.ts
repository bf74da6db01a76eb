import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { checksOf, repository, switchable } from "./site-checks.js";

/** For Vite: every marked check of a source can be left out while the tests run. Only for the mutations' configuration. */
export function switchableChecks() {
  return {
    name: "switchable-site-checks",
    enforce: "pre" as const,
    load(id: string): string | undefined {
      const [path = ""] = id.split("?");
      if (!/[/](?:site-agent|shared)[/]src[/].*(?<![.]test)[.]ts$/.test(path) || !path.startsWith(repository)) return;
      const text = readFileSync(path, "utf8");
      const checks = checksOf(relative(repository, path), text);
      return checks.length === 0 ? undefined : switchable(text, checks);
    },
  };
}
