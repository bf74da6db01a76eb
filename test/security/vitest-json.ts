import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({ title: z.string(), fullName: z.string(), status: z.string(), failureMessages: z.array(z.string()) }),
      ),
    }),
  ),
});

/** One test file and what its tests said; a file that did not even begin has a message and no failed test. */
export type TestFile = z.output<typeof reportSchema>["testResults"][number];

export interface VitestCall {
  readonly repository: string;
  /** Relative to the repository. */
  readonly config: string;
  readonly files: readonly string[];
  readonly options?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs test files in a process of their own. */
export async function vitestReport(call: VitestCall): Promise<readonly TestFile[]> {
  const directory = mkdtempSync(join(tmpdir(), "vitest-report-"));
  const report = join(directory, "report.json");
  const options = ["--config", call.config, "--reporter", "json", "--outputFile", report, ...(call.options ?? [])];
  try {
    await ended(call, ["run", ...options, ...call.files]);
    return reportSchema.parse(JSON.parse(readFileSync(report, "utf8"))).testResults;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Files that broke before or outside any test of theirs. */
export function brokenFiles(files: readonly TestFile[]): string[] {
  return files
    .filter(({ status, assertionResults }) => status === "failed" && !assertionResults.some(isFailed))
    .map(({ name, message }) => `${name}: ${message ?? "broken"}`);
}

export const isFailed = ({ status }: { readonly status: string }): boolean => status === "failed";

function ended({ repository, environment }: VitestCall, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(repository, "node_modules/vitest/vitest.mjs"), ...args], {
    cwd: repository,
    env: { ...process.env, ...environment },
    stdio: "ignore",
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
}
