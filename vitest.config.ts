import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const root = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
  resolve: {
    // Unit tests read the sources, so a test never passes against a stale build.
    alias: [{ find: /^@consilium\/(shared|coordinator|site-agent)\/(.*)\.js$/, replacement: `${root}$1/src/$2.ts` }],
  },
  test: {
    include: ["{shared,coordinator,site-agent}/src/**/*.test.ts", "test/**/*.test.ts"],
    // Thousands of damaged files, whole federations for one property: `npm run test:integration`.
    exclude: [...configDefaults.exclude, "**/*.slow.test.ts"],
    testTimeout: 30_000,
    pool: "forks",
    // Federations wait more than they compute: two at once also on two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
});
