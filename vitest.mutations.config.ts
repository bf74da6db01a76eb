import { defineConfig, mergeConfig } from "vitest/config";
import { switchableChecks } from "./test/security/mutations/remove-check.js";
import base from "./vitest.config.js";

/**
 * Tests that run once for each of the site's checks, without it: `npm run test:security-mutations`. They share one
 * process, so that sources are read once.
 */
export default mergeConfig(
  base,
  defineConfig({
    plugins: [switchableChecks()],
    test: {
      include: ["test/security/mutations/.run-*/*.test.ts"],
      isolate: false,
      maxWorkers: 1,
      testTimeout: 90_000,
      hookTimeout: 90_000,
    },
  }),
);
