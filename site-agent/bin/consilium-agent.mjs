#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write("error: consilium-agent is not built\n  → run 'npm run build' in the project's folder\n");
  process.exitCode = 1;
}
