import { defineConfig, mergeConfig } from "vitest/config";
import { removeCheck, removedCheckVariable } from "./test/security/mutations/remove-check.js";
import base from "./vitest.config.js";

const removed = process.env[removedCheckVariable];

/** The tests, with one of the site's checks removed: `npm run test:security-mutations`. */
export default mergeConfig(base, defineConfig({ plugins: removed === undefined ? [] : [removeCheck(removed)] }));
