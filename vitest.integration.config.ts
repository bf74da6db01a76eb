import { configDefaults, defineConfig } from "vitest/config";
import base from "./vitest.config.js";

/** Longer tests with real programs beside: `npm run test:integration`. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["{shared,coordinator,site-agent}/src/**/*.slow.test.ts", "test/**/*.slow.test.ts"],
    exclude: configDefaults.exclude,
    fileParallelism: false,
  },
});
