import type { Random } from "@consilium/shared/random.js";
import type { SamplingTable } from "./sampling-table.js";

/** Draws of one epoch in which no patient comes more often than the cap allows. */

/** Draws that meet a patient who has had enough; then one who has not is drawn directly, so that an epoch ends. */
const mostRejections = 32;

/** The items of each patient, one after the other. */
export class PatientItems {
  /** Patients with an item that may be drawn. */
  readonly patients: Int32Array;
  readonly #items: Int32Array;
  readonly #starts: Int32Array;
  readonly #patientOf: Int32Array;

  constructor(members: Int32Array, patientOf: Int32Array) {
    this.#patientOf = patientOf;
    let most = -1;
    for (const item of members) most = Math.max(most, patientOf[item]!);
    this.#starts = new Int32Array(most + 2);
    for (const item of members) this.#starts[patientOf[item]! + 1]!++;
    for (let patient = 1; patient < this.#starts.length; patient++)
      this.#starts[patient]! += this.#starts[patient - 1]!;
    const places = this.#starts.slice();
    this.#items = new Int32Array(members.length);
    for (const item of members) this.#items[places[patientOf[item]!]!++] = item;
    this.patients = Int32Array.from(this.#starts.subarray(0, -1).keys()).filter((patient) => this.#count(patient) > 0);
  }

  patientOf(item: number): number {
    return this.#patientOf[item]!;
  }

  drawOf(patient: number, random: Random): number {
    return this.#items[this.#starts[patient]! + random.integer(this.#count(patient))]!;
  }

  #count(patient: number): number {
    return this.#starts[patient + 1]! - this.#starts[patient]!;
  }
}

export interface CappedEpoch {
  readonly table: SamplingTable;
  readonly patients: PatientItems;
  /** Most items of a patient. */
  readonly cap: number;
  /** At most the cap times the number of patients. */
  readonly length: number;
}

/** Items of an epoch by the table's shares, as far as the cap lets them. */
export function drawCapped({ table, patients, cap, length }: CappedEpoch, random: Random): Int32Array {
  const open = new OpenPatients(patients.patients, cap);
  return Int32Array.from({ length }, () => {
    for (let tries = 0; tries < mostRejections; tries++) {
      const item = table.draw(random);
      if (open.take(patients.patientOf(item))) return item;
    }
    const patient = open.any(random);
    open.take(patient);
    return patients.drawOf(patient, random);
  });
}

/** Patients who have not had enough, in a list from which one is removed by putting the last in its place. */
class OpenPatients {
  readonly #list: Int32Array;
  readonly #placeOf: Int32Array;
  readonly #left: Int32Array;
  #length: number;

  constructor(patients: Int32Array, cap: number) {
    this.#list = patients.slice();
    this.#length = patients.length;
    const most = patients.at(-1)! + 1;
    this.#placeOf = new Int32Array(most);
    for (const [place, patient] of patients.entries()) this.#placeOf[patient] = place;
    this.#left = new Int32Array(most).fill(cap);
  }

  /** @returns false when the patient has had enough */
  take(patient: number): boolean {
    if (this.#left[patient] === 0) return false;
    if (--this.#left[patient]! === 0) this.#remove(patient);
    return true;
  }

  any(random: Random): number {
    return this.#list[random.integer(this.#length)]!;
  }

  #remove(patient: number): void {
    const last = this.#list[--this.#length]!;
    const place = this.#placeOf[patient]!;
    this.#list[place] = last;
    this.#placeOf[last] = place;
  }
}
