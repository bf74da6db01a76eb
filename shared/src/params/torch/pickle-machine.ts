import type { ByteCursor } from "./byte-cursor.js";
import { damagedPickle, refusedPickle } from "./pickle-errors.js";
import { allowedGlobal, callGlobal, newInert, storageOf } from "./pickle-globals.js";
import { GlobalName, Inert, type PickleValue, TensorRecord } from "./pickle-values.js";

/**
 * The stack, the marks and the memo of Python's pickle machine. It makes values and never calls anything: what the
 * format calls a global stays a name from a written list.
 */
export class PickleMachine {
  #stack: PickleValue[] = [];
  readonly #marked: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();
  #copies: number;

  /** @param mostCopies entries that calls may copy all together */
  constructor(mostCopies: number) {
    this.#copies = mostCopies;
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw damagedPickle("it takes a value where there is none");
    return value;
  }

  /** The last `count` values, in the order in which they came. */
  popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw damagedPickle("it takes a value where there is none");
    return count === 0 ? [] : this.#stack.splice(-count);
  }

  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw damagedPickle("it looks at a value where there is none");
    return value;
  }

  mark(): void {
    this.#marked.push(this.#stack);
    this.#stack = [];
  }

  /** Everything since the last mark. */
  popToMark(): PickleValue[] {
    const before = this.#marked.pop();
    if (before === undefined) throw damagedPickle("it goes back to a mark that is not there");
    const since = this.#stack;
    this.#stack = before;
    return since;
  }

  remember(place: number): void {
    this.#memo.set(place, this.top());
  }

  rememberNext(): void {
    this.remember(this.#memo.size);
  }

  recall(place: number): void {
    const value = this.#memo.get(place);
    if (value === undefined) throw damagedPickle("it recalls a value that it never had");
    this.push(value);
  }

  appendTo(values: readonly PickleValue[]): void {
    const list = this.top();
    if (list instanceof Inert) return;
    if (!Array.isArray(list)) throw damagedPickle("it appends to something other than a list");
    for (const value of values) list.push(value);
  }

  setItems(values: readonly PickleValue[]): void {
    const map = this.top();
    if (map instanceof Inert) return;
    if (!(map instanceof Map)) throw damagedPickle("it sets an item of something other than a dictionary");
    for (let index = 0; index + 1 < values.length; index += 2)
      map.set(values[index] ?? null, values[index + 1] ?? null);
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== "string" || typeof name !== "string") throw damagedPickle("a name in it is no text");
    this.push(allowedGlobal(module, name));
  }

  call(): void {
    const [callee = null, args = null] = this.popMany(2);
    this.push(callGlobal(callee, args, (entries) => this.#spend(entries)));
  }

  construct(): void {
    const [type = null] = this.popMany(2);
    this.push(newInert(type));
  }

  /** Attributes, which dictionaries and parameters do not need, are dropped. */
  setState(): void {
    this.pop();
    const target = this.top();
    if (target instanceof Inert || target instanceof Map || target instanceof TensorRecord) return;
    const what = target instanceof GlobalName ? target.name : "something that is no object";
    throw refusedPickle(`it changes ${what}`);
  }

  storage(): void {
    this.push(storageOf(this.pop()));
  }

  /** @param length in bytes, of an integer */
  integer(cursor: ByteCursor, length: number): void {
    if (length > 1024) throw damagedPickle(`it has an integer of ${length} bytes`);
    this.push(cursor.integer(length));
  }

  #spend(entries: number): void {
    this.#copies -= entries;
    if (this.#copies < 0) throw damagedPickle("it copies its own content over and over");
  }
}
