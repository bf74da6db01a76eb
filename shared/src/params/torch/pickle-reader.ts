import { ByteCursor } from "./byte-cursor.js";
import { damagedPickle, refusedPickle } from "./pickle-errors.js";
import { PickleMachine } from "./pickle-machine.js";
import type { PickleValue } from "./pickle-values.js";

type Instruction = (machine: PickleMachine, cursor: ByteCursor) => void;

const code = (letter: string): number => letter.charCodeAt(0);

const pairsOf = (values: readonly PickleValue[]): Map<PickleValue, PickleValue> => {
  const map = new Map<PickleValue, PickleValue>();
  for (let index = 0; index + 1 < values.length; index += 2) map.set(values[index] ?? null, values[index + 1] ?? null);
  return map;
};

/** What protocols 2 to 5 emit for data; of code they have only names, calls and states, which the machine restricts. */
const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  [0x80, (_, cursor) => requireProtocol(cursor.uint8())],
  [0x95, (_, cursor) => void cursor.length64()],
  // Numbers and constants.
  [code("N"), (machine) => machine.push(null)],
  [0x88, (machine) => machine.push(true)],
  [0x89, (machine) => machine.push(false)],
  [code("J"), (machine, cursor) => machine.push(cursor.int32())],
  [code("K"), (machine, cursor) => machine.push(cursor.uint8())],
  [code("M"), (machine, cursor) => machine.push(cursor.uint16())],
  [0x8a, (machine, cursor) => machine.integer(cursor, cursor.uint8())],
  [0x8b, (machine, cursor) => machine.integer(cursor, cursor.uint32())],
  [code("G"), (machine, cursor) => machine.push(cursor.float64())],
  // Text and bytes; Python 2 wrote its text as bytes.
  [code("X"), (machine, cursor) => machine.push(cursor.text(cursor.uint32()))],
  [0x8c, (machine, cursor) => machine.push(cursor.text(cursor.uint8()))],
  [0x8d, (machine, cursor) => machine.push(cursor.text(cursor.length64()))],
  [code("T"), (machine, cursor) => machine.push(cursor.text(cursor.uint32()))],
  [code("U"), (machine, cursor) => machine.push(cursor.text(cursor.uint8()))],
  [code("B"), (machine, cursor) => machine.push(cursor.bytes(cursor.uint32()))],
  [code("C"), (machine, cursor) => machine.push(cursor.bytes(cursor.uint8()))],
  [0x8e, (machine, cursor) => machine.push(cursor.bytes(cursor.length64()))],
  // Lists, tuples, sets and dictionaries.
  [code("]"), (machine) => machine.push([])],
  [code(")"), (machine) => machine.push([])],
  [0x8f, (machine) => machine.push([])],
  [code("}"), (machine) => machine.push(new Map())],
  [code("l"), (machine) => machine.push(machine.popToMark())],
  [code("t"), (machine) => machine.push(machine.popToMark())],
  [0x91, (machine) => machine.push(machine.popToMark())],
  [code("d"), (machine) => machine.push(pairsOf(machine.popToMark()))],
  [0x85, (machine) => machine.push(machine.popMany(1))],
  [0x86, (machine) => machine.push(machine.popMany(2))],
  [0x87, (machine) => machine.push(machine.popMany(3))],
  [code("a"), (machine) => machine.appendTo(machine.popMany(1))],
  [code("e"), (machine) => machine.appendTo(machine.popToMark())],
  [0x90, (machine) => machine.appendTo(machine.popToMark())],
  [code("s"), (machine) => machine.setItems(machine.popMany(2))],
  [code("u"), (machine) => machine.setItems(machine.popToMark())],
  // Stack and memo.
  [code("("), (machine) => machine.mark()],
  [code("0"), (machine) => void machine.pop()],
  [code("1"), (machine) => void machine.popToMark()],
  [code("2"), (machine) => machine.push(machine.top())],
  [code("q"), (machine, cursor) => machine.remember(cursor.uint8())],
  [code("r"), (machine, cursor) => machine.remember(cursor.uint32())],
  [0x94, (machine) => machine.rememberNext()],
  [code("h"), (machine, cursor) => machine.recall(cursor.uint8())],
  [code("j"), (machine, cursor) => machine.recall(cursor.uint32())],
  // Names, calls and states.
  [code("c"), (machine, cursor) => machine.global(cursor.line(), cursor.line())],
  [0x93, (machine) => machine.global(...pairOf(machine))],
  [code("R"), (machine) => machine.call()],
  [0x81, (machine) => machine.construct()],
  [code("b"), (machine) => machine.setState()],
  [code("Q"), (machine) => machine.storage()],
]);

/** Instructions that exist for code alone. */
const refused: ReadonlyMap<number, string> = new Map([
  [code("i"), "INST"],
  [code("o"), "OBJ"],
  [0x92, "NEWOBJ_EX"],
  [0x82, "EXT1"],
  [0x83, "EXT2"],
  [0x84, "EXT4"],
  [code("P"), "PERSID"],
]);

const stop = code(".");

function pairOf(machine: PickleMachine): [PickleValue, PickleValue] {
  const [first = null, second = null] = machine.popMany(2);
  return [first, second];
}

function requireProtocol(protocol: number): void {
  if (protocol < 2 || protocol > 5) throw refusedPickle(`its pickle has protocol ${protocol}`);
}

/**
 * Reads a pickle without running it: only names from a written list are understood, and each as plain data.
 * @throws ConsiliumError "input-unsupported" naming what it refuses, "input-unreadable" for damage
 */
export function readPickle(bytes: Uint8Array): PickleValue {
  const cursor = new ByteCursor(bytes);
  const machine = new PickleMachine(bytes.length);
  for (;;) {
    const instruction = cursor.uint8();
    if (instruction === stop) return machine.pop();
    const name = refused.get(instruction);
    if (name !== undefined) throw refusedPickle(`it has the instruction ${name}, which makes objects of any type`);
    const act = instructions.get(instruction);
    if (act === undefined) throw damagedPickle(`it has the unknown instruction 0x${instruction.toString(16)}`);
    act(machine, cursor);
  }
}
