// First thing of `npm run demo`: needs nothing but Node. Installs and builds what is missing, then runs the demo itself.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`error: Node ${process.versions.node} is too old\n  → install Node 20.19 or newer`);
  process.exit(2);
}

function run(title, command, args) {
  console.log(`── ${title}`);
  const started = Date.now();
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (result.status !== 0) {
    console.error(`error: '${command} ${args.join(" ")}' failed\n  → read the lines above; run it by hand in ${root}`);
    process.exit(result.status ?? 1);
  }
  console.log(`   ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

const lock = join(root, "package-lock.json");
const installed = join(root, "node_modules", ".package-lock.json");
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs - 1000) {
  run("installing dependencies (a native module is compiled: one to three minutes)", "npm", [
    "ci",
    "--no-audit",
    "--no-fund",
  ]);
}
run("building", "npm", ["run", "--silent", "build"]);

const demo = spawnSync(
  process.execPath,
  ["--import", "tsx", join(root, "deploy/demo/main.ts"), ...process.argv.slice(2)],
  {
    cwd: process.env.INIT_CWD ?? process.cwd(),
    stdio: "inherit",
  },
);
process.exit(demo.status ?? 1);
