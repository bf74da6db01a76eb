import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { repository, type SiteCheck } from "./site-checks.js";

/** Where a source is tested, for those without a test file of their own beside them. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  "shared/src/secagg/protocol.ts": ["shared/src/secagg/protocol.test.ts", "site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/plan-facts.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/signed-lists.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/site-session.ts": ["test/security/malicious-coordinator-masking.test.ts"],
  "site-agent/src/secagg/site-masking.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/site-shares.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/round/attempt.ts": [
    "site-agent/src/round/participant.test.ts",
    "site-agent/src/round/audit.test.ts",
    "site-agent/src/round/privacy.test.ts",
    "site-agent/src/round/site-privacy.test.ts",
  ],
  "site-agent/src/round/participant.ts": [
    "site-agent/src/round/participant.test.ts",
    "site-agent/src/round/audit.test.ts",
  ],
  "site-agent/src/round/plan-check.ts": [
    "site-agent/src/round/participant.test.ts",
    "site-agent/src/round/plan-terms.test.ts",
    "site-agent/src/round/site-privacy.test.ts",
  ],
  "site-agent/src/chain/check-result.ts": ["test/security/malicious-coordinator-models.test.ts"],
  "site-agent/src/chain/initial-model.ts": ["test/security/malicious-coordinator-models.test.ts"],
  "site-agent/src/chain/model-chain.ts": ["test/security/malicious-coordinator-models.test.ts"],
  "site-agent/src/governance/roster-files.ts": ["site-agent/src/governance/site-roster.test.ts"],
  "shared/src/identity/certificate-check.ts": ["shared/src/identity/certificate-authority.test.ts"],
  "shared/src/rpc/channel.ts": ["shared/src/rpc/server.test.ts"],
  "shared/src/rpc/pinned-channel.ts": ["shared/src/rpc/server.test.ts"],
};

export const tiers = 3;

/**
 * The tests to ask about a missing check in `tiers` lists, those that answer soonest first: the source's own, those in its folder or that
 * import it, and those that play a hostile coordinator against a whole site.
 */
export function coveringTests({ path }: Pick<SiteCheck, "path">): readonly (readonly string[])[] {
  const known = found.get(path) ?? findTests(path);
  found.set(path, known);
  return known;
}

const found = new Map<string, readonly (readonly string[])[]>();

function findTests(path: string): readonly (readonly string[])[] {
  const beside = path.replace(/\.ts$/, ".test.ts");
  const own = [...(testsOf[path] ?? []), ...(existsSync(join(repository, beside)) ? [beside] : [])];
  const near = [...testFilesIn(dirname(path)), ...testsThatImport(path)].filter((file) => !file.startsWith("test/"));
  const whole = [...testFilesIn("test/security"), ...testsThatImport(path)];
  const asked = new Set<string>();
  return [own, near, whole].map((files) => onlyNew(files, asked));
}

function onlyNew(files: readonly string[], asked: Set<string>): string[] {
  const added = [...new Set(files)].filter((file) => !asked.has(file));
  for (const file of added) asked.add(file);
  return added;
}

function testFilesIn(folder: string): string[] {
  return readdirSync(join(repository, folder))
    .filter(isTest)
    .map((name) => `${folder}/${name}`);
}

function isTest(name: string): boolean {
  return name.endsWith(".test.ts") && !name.endsWith(".slow.test.ts");
}

/** Tests that import a file of the source's name. */
function testsThatImport(path: string): string[] {
  const importing = `/${basename(path, ".ts")}.js"`;
  return [...everyTest].flatMap(([file, text]) => (text.includes(importing) ? [file] : []));
}

/** Texts by path. */
const everyTest = new Map(
  ["site-agent/src", "shared/src", "test/federation", "test/secagg"].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .filter(isTest)
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .map((file): [string, string] => [file, readFileSync(join(repository, file), "utf8")]),
  ),
);
