import type { DrawSeed } from "@consilium/shared/random.js";
import { EpochOrder, type ItemOrder } from "../epoch-order.js";
import type { ItemList } from "../index/item-list.js";
import { curationKeys } from "./curation-keys.js";
import type { CurationSettings } from "./curation-settings.js";
import { CuratedOrder } from "./sampling.js";

export interface OrderRequest {
  readonly items: Pick<ItemList, "length" | "at">;
  /** Absent: every image once in each epoch. */
  readonly curation: CurationSettings | undefined;
  readonly seed: DrawSeed;
  readonly siteId: string;
}

/** @throws ConsiliumError "config-missing", "config-invalid", "not-enough-data" */
export async function orderOf({ items, curation, seed, siteId }: OrderRequest): Promise<ItemOrder> {
  if (curation === undefined) return new EpochOrder({ seed, siteId, items: items.length });
  const { keys, weights } = await curationKeys(items, curation);
  const { exponent, maxPerPatient } = curation;
  return new CuratedOrder({
    ...{ seed, siteId, keys, exponent, weights },
    ...(maxPerPatient === undefined ? {} : { maxPerPatient }),
  });
}
