// Generates TypeScript from the contract (proto/consilium/v1) into shared/src/rpc/gen and from the ONNX model format
// (proto/onnx) into shared/src/onnx/gen. Skips the work when the outputs are newer than every input.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const bin = (name) => {
  const manifest = require.resolve(`${name}/package.json`);
  const entry = require(manifest).bin;
  return join(
    dirname(manifest),
    typeof entry === "string" ? entry : entry[name === "protoc" ? "protoc" : "protoc-gen-ts_proto"],
  );
};

const targets = [
  {
    from: join(root, "proto/consilium/v1"),
    to: join(root, "shared/src/rpc/gen"),
    options: "outputServices=grpc-js,oneof=unions-value,forceLong=number",
  },
  {
    from: join(root, "proto/onnx"),
    to: join(root, "shared/src/onnx/gen"),
    options: "outputServices=none,forceLong=number",
  },
];

const newest = (dir) => Math.max(...readdirSync(dir).map((name) => statSync(join(dir, name)).mtimeMs));

for (const { from, to, options } of targets) {
  const files = readdirSync(from).filter((name) => name.endsWith(".proto"));
  const inputs = Math.max(newest(from), statSync(fileURLToPath(import.meta.url)).mtimeMs);
  if (existsSync(to) && readdirSync(to).length >= files.length && newest(to) > inputs) continue;
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const common = "env=node,esModuleInterop=true,importSuffix=.js,removeEnumPrefix=true,unrecognizedEnum=false";
  execFileSync(
    process.execPath,
    [
      bin("protoc"),
      `--plugin=protoc-gen-ts_proto=${bin("ts-proto")}`,
      `--ts_proto_out=${to}`,
      `--ts_proto_opt=${common},${options}`,
      `--proto_path=${from}`,
      ...files,
    ],
    { stdio: "inherit" },
  );
}
