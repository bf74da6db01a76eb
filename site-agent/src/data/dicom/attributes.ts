import { type DataSet, type Element, tagText } from "./parser.js";

/** Typed access to the values of a data set or sequence item. Absent, empty and unreadable values are undefined. */
export class Attributes {
  readonly #dataSet: DataSet;

  constructor(dataSet: DataSet) {
    this.#dataSet = dataSet;
  }

  #element(tag: number): Element | undefined {
    const element = this.#dataSet.elements[tagText(tag)];
    return element === undefined || element.length === 0 ? undefined : element;
  }

  /** The first of the values, without padding. */
  text(tag: number): string | undefined {
    return this.texts(tag)[0];
  }

  texts(tag: number): readonly string[] {
    if (this.#element(tag) === undefined) return [];
    const text = this.#dataSet.string(tagText(tag)) ?? "";
    return text.split("\\").map((value) => value.replaceAll("\0", "").trim());
  }

  /** Decimal or integer strings (DS, IS); undefined when one of them is no finite number. */
  numbers(tag: number): readonly number[] | undefined {
    const texts = this.texts(tag);
    const numbers = texts.map((text) => (text === "" ? Number.NaN : Number(text)));
    return numbers.length > 0 && numbers.every(Number.isFinite) ? numbers : undefined;
  }

  number(tag: number): number | undefined {
    return this.numbers(tag)?.[0];
  }

  /** Binary 16-bit value. @param signed whether it is SS rather than US */
  short(tag: number, { index = 0, signed = false } = {}): number | undefined {
    const element = this.#element(tag);
    if (element === undefined || element.length < 2 * (index + 1)) return undefined;
    return signed ? this.#dataSet.int16(tagText(tag), index) : this.#dataSet.uint16(tagText(tag), index);
  }

  /** Binary 32-bit value. */
  long(tag: number, signed = false): number | undefined {
    const element = this.#element(tag);
    if (element === undefined || element.length < 4) return undefined;
    return signed ? this.#dataSet.int32(tagText(tag)) : this.#dataSet.uint32(tagText(tag));
  }

  /** All 16-bit words of a value. */
  words(tag: number): Uint16Array | undefined {
    const element = this.#element(tag);
    if (element === undefined || !this.#isWithin(element)) return undefined;
    return Uint16Array.from({ length: element.length >> 1 }, (_, index) => this.#dataSet.uint16(tagText(tag), index)!);
  }

  #isWithin({ dataOffset, length }: Element): boolean {
    return dataOffset + length <= this.#dataSet.byteArray.length;
  }

  items(tag: number): readonly Attributes[] {
    const items = this.#element(tag)?.items ?? [];
    return items.flatMap(({ dataSet }) => (dataSet === undefined ? [] : [new Attributes(dataSet)]));
  }

  /** The only item of a sequence, or its first. */
  item(tag: number): Attributes | undefined {
    return this.items(tag)[0];
  }
}
