import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";

/** A folder that is fresh for each test of the file. @returns where it is, while a test runs */
export function temporaryFolder(): () => string {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium-test-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}
