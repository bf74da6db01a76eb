import { type Random, randomFor } from "@consilium/shared/random.js";

/** Ways to spoil bytes, of protobuf messages and of anything else. All are functions of the random stream alone. */

type Spoil = (bytes: Buffer, random: Random) => Buffer;

const hex = (text: string) => Buffer.from(text, "hex");
/** The largest and smallest 64-bit varints, NaN and infinities as 32 and 64 bits, an overlong varint. */
const extremes = [
  hex("ffffffffffffffffff01"),
  hex("80808080808080808001"),
  hex("0000000000000080"),
  hex("000000000000f87f"),
  hex("000000000000f0ff"),
  hex("0000c07f"),
  hex("000080ff"),
  hex("ffffffffffffffffffffffff"),
];
const mostRepeated = 4000;

const splice = (bytes: Buffer, at: number, removed: number, inserted: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
const place = (bytes: Buffer, random: Random): number => random.integer(bytes.length + 1);
const stretch = (bytes: Buffer, random: Random) => {
  const from = place(bytes, random);
  return { from, to: Math.min(bytes.length, from + 1 + random.integer(48)) };
};
const noise = (count: number, random: Random) => Buffer.from(Array.from({ length: count }, () => random.integer(256)));

/** Where each top-level field of a protobuf message begins and ends, as far as it can be followed. */
function fieldsOf(bytes: Buffer): { readonly from: number; readonly to: number }[] {
  const fields: { from: number; to: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const from = at;
    const wire = bytes[at]! & 7;
    at++;
    if (wire === 2) at += 1 + (bytes[at] ?? 0);
    else if (wire === 0) while (at < bytes.length && bytes[at++]! >= 0x80);
    else at += wire === 1 ? 8 : 4;
    fields.push({ from, to: Math.min(at, bytes.length) });
  }
  return fields;
}

function onField(bytes: Buffer, random: Random, spoil: (field: Buffer) => Buffer): Buffer {
  const fields = fieldsOf(bytes);
  if (fields.length === 0) return bytes;
  const { from, to } = fields[random.integer(fields.length)]!;
  return splice(bytes, from, to - from, spoil(bytes.subarray(from, to)));
}

const spoils: Readonly<Record<string, Spoil>> = {
  flip: (bytes, random) => {
    const spoiled = Buffer.from(bytes);
    for (let flips = 1 + random.integer(4); flips > 0 && spoiled.length > 0; flips--) {
      spoiled[random.integer(spoiled.length)]! ^= 1 << random.integer(8);
    }
    return spoiled;
  },
  cut: (bytes, random) => bytes.subarray(0, place(bytes, random)),
  remove: (bytes, random) => {
    const { from, to } = stretch(bytes, random);
    return splice(bytes, from, to - from, Buffer.alloc(0));
  },
  repeat: (bytes, random) => {
    const { from, to } = stretch(bytes, random);
    return splice(bytes, from, 0, bytes.subarray(from, to));
  },
  insert: (bytes, random) => splice(bytes, place(bytes, random), 0, noise(1 + random.integer(32), random)),
  extreme: (bytes, random) => {
    const at = place(bytes, random);
    const value = extremes[random.integer(extremes.length)]!;
    return splice(bytes, at, random.integer(2) * value.length, value);
  },
  dropField: (bytes, random) => onField(bytes, random, () => Buffer.alloc(0)),
  doubleField: (bytes, random) => onField(bytes, random, (field) => Buffer.concat([field, field])),
  wireType: (bytes, random) =>
    onField(bytes, random, (field) =>
      Buffer.concat([Buffer.from([(field[0]! & ~7) | random.integer(8)]), field.subarray(1)]),
    ),
  length: (bytes, random) =>
    onField(bytes, random, (field) => Buffer.concat([field.subarray(0, 1), noise(1, random), field.subarray(2)])),
  nest: (bytes, random) =>
    onField(bytes, random, (field) => {
      const tag = field.subarray(0, 1);
      let nested = field.subarray(0, 100);
      for (let depth = 1 + random.integer(40); depth > 0 && nested.length < 120; depth--) {
        nested = Buffer.concat([tag, Buffer.from([nested.length]), nested]);
      }
      return nested;
    }),
  groups: (bytes, random) => Buffer.concat([bytes, Buffer.alloc(1 + random.integer(300), 0x0b)]),
  flood: (bytes, random) =>
    random.integer(20) > 0
      ? bytes
      : onField(bytes, random, (field) =>
          Buffer.concat(Array<Buffer>(random.integer(mostRepeated)).fill(field.subarray(0, 40))),
        ),
  noise: (_bytes, random) => noise(random.integer(200), random),
};
const names = Object.keys(spoils);

/** The `number`-th spoiled form of some bytes; the same seed and number always give the same. */
export function spoiled(
  bytes: Uint8Array,
  { seed, number }: { readonly seed: string; readonly number: number },
): Buffer {
  const random = randomFor(number, seed);
  let result: Buffer = Buffer.from(bytes);
  for (let times = 1 + random.integer(3); times > 0; times--) {
    result = spoils[names[random.integer(names.length)]!]!(result, random);
  }
  return result;
}
