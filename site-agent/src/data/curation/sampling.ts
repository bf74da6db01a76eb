import { type DrawSeed, permutation, randomFor } from "@consilium/shared/random.js";
import { DrawnEpochs } from "../epoch-order.js";
import { drawCapped, PatientItems } from "./patient-cap.js";
import { type ItemKeys, type SamplingRule, SamplingTable } from "./sampling-table.js";

export interface CuratedOrderOptions extends SamplingRule {
  readonly seed: DrawSeed;
  readonly siteId: string;
  readonly keys: ItemKeys;
  /** Most items of a patient in an epoch; absent: no limit. */
  readonly maxPerPatient?: number;
}

/**
 * An endless sequence of items drawn by group, cluster, slide and patch (see `SamplingTable`), in place of a permutation.
 * An epoch is as many draws as there are items to draw from, or as many as the cap of a patient allows; what it holds
 * depends on (seed, site, epoch) and the items only. An item may come several times in an epoch, and in some not at all.
 */
export class CuratedOrder extends DrawnEpochs {
  readonly mayRepeat = true;
  readonly epochLength: number;
  readonly #options: CuratedOrderOptions;
  readonly #table: SamplingTable;
  readonly #patients: PatientItems | undefined;

  /** @throws ConsiliumError "not-enough-data" when no item may be drawn */
  constructor(options: CuratedOrderOptions) {
    super();
    this.#options = options;
    this.#table = new SamplingTable(options.keys, options);
    const { members } = this.#table;
    const { maxPerPatient: cap } = options;
    this.#patients = cap === undefined ? undefined : new PatientItems(members, options.keys.patient);
    const allowed = (cap ?? 0) * (this.#patients?.patients.length ?? 0);
    this.epochLength = this.#patients === undefined ? members.length : Math.min(members.length, allowed);
  }

  protected draw(epoch: number): Int32Array {
    const { seed, siteId, maxPerPatient: cap } = this.#options;
    const random = randomFor("curated order", seed, siteId, epoch);
    const length = this.epochLength;
    if (this.#patients === undefined || cap === undefined) {
      return Int32Array.from({ length }, () => this.#table.draw(random));
    }
    const drawn = drawCapped({ table: this.#table, patients: this.#patients, cap, length }, random);
    // The last draws are of the patients that were left over.
    return permutation(length, random).map((at) => drawn[at]!);
  }
}
