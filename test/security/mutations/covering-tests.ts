import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository, type SiteCheck } from "./site-checks.js";

/** Where a source is tested, for those without a test file of their own beside them. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  "shared/src/secagg/protocol.ts": ["shared/src/secagg/protocol.test.ts", "site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/plan-facts.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/advertisers.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/site-masking.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/secagg/site-shares.ts": ["site-agent/src/secagg/site-session.test.ts"],
  "site-agent/src/round/attempt.ts": ["site-agent/src/round/participant.test.ts", "site-agent/src/round/audit.test.ts"],
  "site-agent/src/round/participant.ts": [
    "site-agent/src/round/participant.test.ts",
    "site-agent/src/round/audit.test.ts",
  ],
  "site-agent/src/round/plan-check.ts": ["site-agent/src/round/participant.test.ts"],
  "shared/src/identity/certificate-check.ts": ["shared/src/identity/certificate-authority.test.ts"],
  "shared/src/rpc/channel.ts": ["shared/src/rpc/server.test.ts"],
  "shared/src/rpc/pinned-channel.ts": ["shared/src/rpc/server.test.ts"],
};

/** The tests that are asked first, and those that are asked when the first have nothing against a missing check. */
export function coveringTests({ path }: Pick<SiteCheck, "path">): readonly (readonly string[])[] {
  const beside = path.replace(/\.ts$/, ".test.ts");
  const first = [...(testsOf[path] ?? []), ...(existsSync(join(repository, beside)) ? [beside] : [])];
  const near = [...testFilesIn(dirname(path)), ...testFilesIn("test/security"), ...testsThatName(path)];
  const further = [...new Set(near)].filter((file) => !first.includes(file));
  return [[...new Set(first)], further].filter((files) => files.length > 0);
}

function testFilesIn(folder: string): string[] {
  return readdirSync(join(repository, folder))
    .filter((name) => name.endsWith(".test.ts") && !name.endsWith(".slow.test.ts"))
    .map((name) => `${folder}/${name}`);
}

/** Tests of other folders of the agent that import the source. */
function testsThatName(path: string): string[] {
  const module = path.replace(/^(\S+?)\/src\/(.*)\.ts$/, "@consilium/$1/$2.js");
  return ["test/federation", "test/secagg"]
    .flatMap(testFilesIn)
    .filter((file) => readFileSync(join(repository, file), "utf8").includes(module));
}
