import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

/** Longer tests with real programs beside: `npm run test:integration`. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/integration/**/*.integration.ts"], fileParallelism: false },
});
