import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileRegistry, type DescField, type DescMessage, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { repository } from "../mutations/site-checks.js";

/** A call of the contract, as its descriptor says: nothing here knows the methods by name. */
export interface FuzzedMethod {
  readonly path: string;
  readonly service: string;
  readonly input: DescMessage;
}

/** Every method of every service, from the contract's files themselves. */
export function everyMethod(): FuzzedMethod[] {
  const directory = mkdtempSync(join(tmpdir(), "descriptors-"));
  try {
    const out = join(directory, "all.binpb");
    const contract = join(repository, "proto/consilium/v1");
    const files = readdirSync(contract).filter((name) => name.endsWith(".proto"));
    const protoc = join(repository, "node_modules/.bin/protoc");
    execFileSync(protoc, [`--descriptor_set_out=${out}`, "--include_imports", `--proto_path=${contract}`, ...files]);
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(out)));
    return [...registry].flatMap((type) =>
      type.kind === "service"
        ? type.methods.map(({ name, input }) => ({
            path: `/${type.typeName}/${name}`,
            service: type.typeName.split(".").at(-1)!,
            input,
          }))
        : [],
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const deepest = 4;

/** Values with which a message gets past the first checks, by field name; others are short and harmless. */
const likely: Readonly<Record<string, string | number>> = {
  site_id: "north",
  run_id: "run",
  round: 1,
  attempt: 1,
  // Many times too long to make an invitation, so that the list of them does not grow.
  valid_hours: 4_000_000_000,
  config_yaml: "name: fuzzed\nrounds: 0\nmethod:\n  name: simclr\n",
};

/** One message of the type with a value in every field; of alternatives, the one that `choice` falls on. */
export function sampleOf(message: DescMessage, choice: number, service: string, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  const chosen = new Set(
    message.oneofs
      .map(({ fields }) => fields[choice % Math.max(1, fields.length)])
      .filter((field) => field !== undefined),
  );
  for (const field of message.fields) {
    if (field.oneof === undefined || chosen.has(field)) writeField(writer, field, { choice, service, depth });
  }
  return writer.finish();
}

interface Place {
  readonly choice: number;
  readonly service: string;
  readonly depth: number;
}

function writeField(writer: BinaryWriter, field: DescField, { choice, service, depth }: Place): void {
  const inner = field.message;
  if (field.fieldKind === "map") return;
  if (inner !== undefined) {
    if (depth < deepest)
      writer.tag(field.number, WireType.LengthDelimited).bytes(sampleOf(inner, choice, service, depth + 1));
    return;
  }
  // An administrator's calls are about nobody: revoking the site that sends the rest would end the fuzzing.
  const value = service === "AdminService" && field.name === "site_id" ? "nobody" : likely[field.name];
  switch (field.scalar) {
    case ScalarType.STRING:
      writer.tag(field.number, WireType.LengthDelimited).string(typeof value === "string" ? value : "x");
      return;
    case ScalarType.BYTES:
      writer.tag(field.number, WireType.LengthDelimited).bytes(new Uint8Array(32).fill(field.number));
      return;
    case ScalarType.FLOAT:
      writer.tag(field.number, WireType.Bit32).float(1);
      return;
    case ScalarType.DOUBLE:
      writer.tag(field.number, WireType.Bit64).double(1);
      return;
    default:
      writer.tag(field.number, WireType.Varint).uint32(typeof value === "number" ? value : 1);
  }
}
