import { configDefaults, defineConfig } from "vitest/config";
import base from "./vitest.config.js";

/** Every test that may stand in the security table, the long ones too: `npm run test:security`. */
export default defineConfig({
  ...base,
  test: { ...base.test, exclude: configDefaults.exclude },
});
