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
  /** Whether it may answer without end. */
  readonly streams: boolean;
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
        ? type.methods.map(({ name, input, methodKind }) => ({
            path: `/${type.typeName}/${name}`,
            service: type.typeName.split(".").at(-1)!,
            input,
            streams: methodKind === "server_streaming" || methodKind === "bidi_streaming",
          }))
        : [],
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const deepest = 4;

/** Values by field name; with those of `usual` a message gets past the first checks. */
export type Values = Readonly<Record<string, string | number>>;

const usual: Values = {
  round: 1,
  attempt: 1,
  // Many times too long to make an invitation, so that the list of them does not grow.
  valid_hours: 4_000_000_000,
  config_yaml: "name: fuzzed\nrounds: 0\nmethod:\n  name: simclr\n",
};
const digestBytes = 32;
const signatureBytes = 64;

/**
 * One message of the type with a value in every field; of alternatives, the one that `choice` falls on.
 * @param about whom and what it names; other values are short and harmless
 */
export function sampleOf(message: DescMessage, choice: number, about: Values, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  const chosen = new Set(
    message.oneofs
      .map(({ fields }) => fields[choice % Math.max(1, fields.length)])
      .filter((field) => field !== undefined),
  );
  for (const field of message.fields) {
    if (field.oneof === undefined || chosen.has(field)) writeField(writer, field, { choice, about, depth });
  }
  return writer.finish();
}

interface Place {
  readonly choice: number;
  readonly about: Values;
  readonly depth: number;
}

function writeField(writer: BinaryWriter, field: DescField, { choice, about, depth }: Place): void {
  const inner = field.message;
  if (field.fieldKind === "map") return;
  if (inner !== undefined) {
    if (depth < deepest)
      writer.tag(field.number, WireType.LengthDelimited).bytes(sampleOf(inner, choice, about, depth + 1));
    return;
  }
  const value = about[field.name] ?? usual[field.name];
  switch (field.scalar) {
    case ScalarType.STRING:
      writer.tag(field.number, WireType.LengthDelimited).string(typeof value === "string" ? value : "x");
      return;
    case ScalarType.BYTES:
      writer.tag(field.number, WireType.LengthDelimited).bytes(fillerFor(field));
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

function fillerFor({ name, number }: DescField): Uint8Array {
  return new Uint8Array(name === "signature" ? signatureBytes : digestBytes).fill(number);
}
